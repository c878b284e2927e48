"""The log-log link, h = exp(-exp(-eta)): the mirror image of cloglog, 1 - h(-eta), and so is everything known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Average, Averages, Function, Link, LogTail, Strip, Tensors, as_float
from bayesmargins.family.links.cloglog import Cloglog, CloglogHigher, cloglog

__all__ = ["loglog"]

_MIRRORED = {"mean": "complement", "complement": "mean"}


def _of(part: str, sign: float = 1.0) -> Function:
    """What a part of cloglog is at -eta, times the sign."""
    function = cloglog.part(part)

    def mirrored(eta: npt.ArrayLike) -> Array:
        return sign * function(-as_float(eta))

    return mirrored


def _loglog(mu: npt.ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return -np.log(-np.log(as_float(mu)))


@dataclass(frozen=True)
class _Mirror:
    """Averages of h as those of 1 - h, and the reverse."""

    of: Averages

    @property
    def mean(self) -> Average:
        return self.of.complement

    @property
    def complement(self) -> Average:
        return self.of.mean

    @property
    def farthest(self) -> float:
        return self.of.farthest

    def relative(self, part: str) -> float:
        return self.of.relative(_MIRRORED[part])

    def rules(self, part: str) -> tuple[float, float, int]:
        return self.of.rules(_MIRRORED[part])


def _linked(of: Averages) -> tuple[Array, float]:
    assert cloglog.linked is not None
    value, bound = cloglog.linked(_Mirror(of))
    return -value, bound


def _between(average: Callable[..., Any], mean: Average, complement: Average) -> tuple[Array, float]:
    assert cloglog.between is not None

    def mirrored(part: str, shift: float = 0.0) -> Any:
        return average(_MIRRORED.get(part, part), -shift)

    return cloglog.between(mirrored, complement, mean)


def _log_tail(tail: LogTail) -> LogTail:
    return LogTail(
        lambda x: tail.psi(-x), lambda x: -tail.slope(-x), lambda eta, s: -tail.mode(-eta, s), growth=tail.growth
    )


def _strip() -> Strip:
    of = cloglog.strip
    assert of is not None

    def turned(by_part: dict[str, Any]) -> dict[str, Any]:
        return {part: by_part[_MIRRORED.get(part, part)] for part in by_part}

    first, second, third, fourth = of.moments
    return Strip(
        of.half_width,
        lambda part, y: of.log_growth(_MIRRORED.get(part, part), y),
        turned(of.scale),
        turned(of.tolerance),
        (-first, second, -third, fourth),
    )


def _logs(pt: Any, eta: Any) -> tuple[Any, Any]:
    assert cloglog.tensors.logs is not None
    log, log_complement = cloglog.tensors.logs(pt, -eta)
    return log_complement, log


loglog = Link(
    "loglog",
    _loglog,
    _of("complement"),
    _of("d1"),
    _of("d2", -1.0),
    higher=(_of("d3"), _of("d4", -1.0)),
    tensors=Tensors(lambda pt, eta: pt.exp(-pt.exp(-eta)), logs=_logs),
    complement=_of("mean"),
    bounded=True,
    latent_sd=cloglog.latent_sd,
    latent_variance=cloglog.latent_variance,
    steep=tuple(_MIRRORED[part] for part in cloglog.steep),
    strip=_strip(),
    log_tails={_MIRRORED[part]: _log_tail(tail) for part, tail in cloglog.log_tails.items()},
    linked=_linked,
    between=_between,
    steepest=cloglog.steepest,
    kernels=partial(Cloglog, sign=-1.0),
    higher_kernels=partial(CloglogHigher, sign=-1.0),
)
