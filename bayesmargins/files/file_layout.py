"""Where a posterior lies in its file: ArviZ's groups, for all who read those, and beside them what this package needs.

``bayesmargins_draws`` has Sigma itself, which ArviZ's groups show as standard deviations and correlations;
``bayesmargins_data`` the data; ``bayesmargins_check`` the formula, the names, and some rows of the design.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayesmargins.design import check_signs
from bayesmargins.files.contents import Contents, Predictor, check_rows
from bayesmargins.files.disk import FORMAT
from bayesmargins.files.netcdf import Saved, as_json, named
from bayesmargins.files.tables import frame_to_dataset, to_frame
from bayesmargins.schema import SAMPLE_DIMS, stem
from bayesmargins.version import __version__

__all__ = ["contents_of", "laid_out"]

_ACROSS = "across_Sigma_"
_DRAWS, _DATA, _CHECK = "bayesmargins_draws", "bayesmargins_data", "bayesmargins_check"


def laid_out(post: Any, shown: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Groups of the file of this posterior, ``"/"`` being the root; `shown` are those for ArviZ."""
    of_first = "" if post.family.shares is None else f"{stem(post.first)}_"
    predictors = {of_first: post, **{f"{stem(name)}_": part for name, part in post.parts.items()}}
    for p in predictors.values():
        check_signs(p.formula, len(p.design.coef) + sum(len(f.terms) for f in p.design.factors.values()))
    groups, names = {}, {}
    for group, ds in {**shown, _DRAWS: _covariances(predictors, post.across)}.items():
        groups[group], names[group] = named(_writable(ds) if group == "sample_stats" else ds)
    places = {**_within(post.arviz_group, names[post.arviz_group]), **_within(_DRAWS, names[_DRAWS])}
    about = [_about(p, of, places) for of, p in predictors.items()]
    for said, name in zip(about, post.predictors, strict=True):
        said["part"] = name
    about[0]["joined"] = list(post.joined)
    if post.across:
        about[0]["across"] = {f: _said_across(f, Sigma, places) for f, Sigma in post.across.items()}
    checks: dict[str, Any] = {"about": as_json(about)}
    if post.design.levels is None:
        groups[_DATA] = frame_to_dataset(post.design.data)
        for k, p in enumerate(predictors.values()):
            checks |= {f"{n}_{k}": ((f"{n}_{k}_row", f"{n}_{k}_column"), v) for n, v in check_rows(p.design).items()}
    said = {"formula": post.formula[:1000], "family": post.family.name, "link": post.link.name}
    root, _ = named(xr.Dataset(attrs={**said, "bayesmargins_version": __version__}))
    return {"/": root.assign_attrs(bayesmargins_format=FORMAT), **groups, _CHECK: xr.Dataset(checks)}


def _covariances(predictors: Mapping[str, Any], across: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """With dimensions of their own: the terms of a factor may differ from one linear predictor to another."""
    every = {f"{of}Sigma_{stem(f)}": v for of, p in predictors.items() for f, v in p.Sigma.items()}
    every |= {f"{_ACROSS}{stem(f)}": v for f, v in across.items()}
    return xr.Dataset({n: ([f"{n}_{d}" for d in range(4)], v.to_numpy()) for n, v in every.items()})


def _said_across(factor: str, Sigma: xr.DataArray, places: Mapping[str, str]) -> dict[str, Any]:
    """Where a covariance over several linear predictors stands, and of which effects it is."""
    predictors, terms = Sigma[f"{stem(factor)}_predictor"].to_numpy(), Sigma[Sigma.dims[2]].to_numpy()
    effects = [[str(p), str(t)] for p, t in zip(predictors, terms, strict=True)]
    return {"Sigma": places[f"{_ACROSS}{stem(factor)}"], "effects": effects}


def _within(group: str, names: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{group}/{made}" for name, made in names.items()}


def _about(post: Any, of: str, places: Mapping[str, str]) -> dict[str, Any]:
    """A linear predictor in words, and where its draws stand."""
    factors = post.design.factors
    return {
        "formula": post.formula,
        "family": post.family.name,
        "link": post.link.name,
        "info": post.info,
        "given_levels": post.design.levels,
        "labels": post.design.labels,
        "coef": post.design.coef,
        "levels": {name: list(map(str, f.levels)) for name, f in factors.items()},
        "terms": {name: f.terms for name, f in factors.items()},
        "beta": places[f"{of}beta"],
        "b": {f: places[f"{of}b_{stem(f)}"] for f in post.b},
        "Sigma": {f: places[f"{of}Sigma_{stem(f)}"] for f in post.Sigma},
        "aux": {k: places[k] for k in post.aux},
        "smooth_sd": {name: places[f"{of}sd_{stem(name)}"] for name in post.smooth_sd},
        "samples": {d: places[d] for d in SAMPLE_DIMS},
    }


def _writable(stats: xr.Dataset) -> xr.Dataset:
    """Samplers put objects and None among their statistics, which netCDF does not hold: they become text."""
    return stats.map(lambda v: v.astype(str) if v.dtype == object else v, keep_attrs=True).assign_attrs(
        {k: v for k, v in stats.attrs.items() if isinstance(v, str | int | float)}
    )


def contents_of(saved: Saved) -> Contents:
    """What lies in a file of this format?"""
    every = saved.json(f"{_CHECK}/about")
    mean, *rest = (_predictor(saved, about, k) for k, about in enumerate(every))
    first = every[0]
    return Contents(
        family=first["family"],
        mean=mean,
        parts={about["part"]: part for about, part in zip(every[1:], rest, strict=True)},
        aux={name: saved.numbers(path) for name, path in first["aux"].items()},
        data=to_frame(saved, _DATA) if _DATA in saved else None,
        levels=first["given_levels"],
        labels=first.get("labels"),
        sample_coords={d: saved.labels(path) for d, path in first["samples"].items()},
        sample_stats=saved.dataset("sample_stats") if "sample_stats" in saved else None,
        joined={name: saved.dataset(name) for name in first.get("joined", ())},  # files of before have none
        across={f: (of["effects"], saved.numbers(of["Sigma"])) for f, of in first.get("across", {}).items()},
    )


def _predictor(saved: Saved, about: Mapping[str, Any], k: int) -> Predictor:
    rows = ["X", *(f"Z_{j}" for j in range(len(about["terms"]))), "offset"] if _DATA in saved else []
    return Predictor(
        formula=about["formula"],
        link=about["link"],
        info=about["info"],
        coef=about["coef"],
        levels=about["levels"],
        terms=about["terms"],
        beta=saved.numbers(about["beta"]),
        b={f: saved.numbers(path) for f, path in about["b"].items()},
        Sigma={f: saved.numbers(path) for f, path in about["Sigma"].items()},
        smooth_sd={name: saved.numbers(path) for name, path in about.get("smooth_sd", {}).items()},
        rows={name: saved.numbers(f"{_CHECK}/{name}_{k}") for name in rows},
    )
