"""The parameters of a posterior as entries of one result, so that they are summarised as any other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.family.links import LINKS
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import Provenance, make_result
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, stem
from bayesmargins.version import __version__

__all__ = ["parameters_of"]


def parameters_of(post: Posterior, exponentiate: bool = False) -> xr.Dataset:
    """Coefficients, sds and correlations of group effects, and parameters of the family: (chain, draw, by).

    They have the names of ``post.parameters``; group effects are left out. `exponentiate` takes exp() of coefficients,
    where that is a ratio.
    """
    if exponentiate and post.link.ratio is None:
        some = [link.name for link in LINKS.values() if link.ratio is not None]
        raise ResultError(
            f"exponentiate=True under the {post.link.name} link: exp() of a coefficient is a ratio of nothing there. "
            f"It is one under {listed(some)}. Leave it out: avg_comparisons compares means, as ratios too."
        )
    entries = list(_entries(post, exponentiate))
    draws = np.concatenate([values for _, _, values in entries], axis=-1)
    labels = {"parameter": [e[0] for e in entries for _ in e[1]], "name": [name for e in entries for name in e[1]]}
    coords = {k: ("by", np.array(v, dtype=str)) for k, v in labels.items()}
    flat = draws.reshape(-1, draws.shape[-1])
    return make_result(flat, ["by"], coords, _provenance(post, exponentiate), post.sample_coords)


def _entries(post: Posterior, exponentiate: bool) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """Name of a parameter, names of its values, and draws (chain, draw, value)."""
    of_groups = {factor_dim(f) for p in (post, *post.parts.values()) for f in p.b}
    each = post.predictors if post.family.shares is not None else ()
    coefficients = {"beta", *(f"{stem(name)}_beta" for name in each)}
    for name, variable in post.parameters.data_vars.items():
        if set(variable.dims) & of_groups:
            continue
        dims = [d for d in variable.dims if d not in SAMPLE_DIMS]
        values = variable.transpose(*SAMPLE_DIMS, *dims).to_numpy()
        names = variable[dims[0]].to_numpy().astype(str).tolist() if dims else [""]
        values = values.reshape(*values.shape[:2], len(names))
        if exponentiate and name in coefficients:
            with np.errstate(over="ignore"):
                yield f"exp({name})", names, np.exp(values)
        else:
            yield str(name), names, values


def _provenance(post: Posterior, exponentiate: bool) -> Provenance:
    return Provenance(
        estimand=_sentence(post, exponentiate),
        kind="parameters",
        scale="parameter",
        formula=post.formula,
        family=post.family.name,
        link=post.link.name,
        by=["parameter", "name"],
        source=post.info.get("source", "draws"),
        draws=post.kind,
        posterior=post.fingerprint,
        divergences=post.info.get("divergences"),
        max_rhat=post.info.get("max_rhat"),
        bayesmargins_version=__version__,
    )


def _sentence(post: Posterior, exponentiate: bool) -> str:
    """What the rows are: given the groups, on the link scale."""
    given = f" within a group of {', '.join(post.design.factors)}" if post.design.factors else ""
    ratio = post.link.ratio
    said = f"exp() of coefficients ({ratio.phrase})" if exponentiate and ratio is not None else "coefficients"
    parts = [f"{said}{given}, {post.link.name} link"]
    if post.design.factors:
        parts.append("standard deviations and correlations of group effects, on the link scale")
    degrees = list(post.design.degrees.values())
    parts += [f"{', '.join(degrees)}, degrees of freedom of Student-t effects"] if degrees else []
    own = [*(name for name in post.aux if name not in degrees), *(post.parts if post.family.shares is None else ())]
    parts += [f"{', '.join(own)} of the {post.family.name} family"] if own else []
    parts += [post.caveat] if post.caveat else []
    return f"Parameters of {post.formula}: {'; '.join(parts)}."
