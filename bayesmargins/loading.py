"""Posteriors from files that `Posterior.save` wrote: draws by label, the design built again and held against rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from bayesmargins.design import Design, build_design, build_part, template_design
from bayesmargins.family import get_family, resolve_link
from bayesmargins.posterior import Posterior, make_part
from bayesmargins.stacks import group_of
from bayesmargins.storage import in_design_order, read_tree, refuse_another_design, to_frame

__all__ = ["load"]


def load(path: str | os.PathLike[str], *, namespace: Mapping[str, Callable[..., Any]] | None = None) -> Posterior:
    """Which posterior was saved here?

    Parameters
    ----------
    path : str or Path
        What `Posterior.save` wrote.
    namespace : dict, optional
        Own functions that the formula calls: functions are not stored. Of the rest only those of a list are evaluated
        (formulaic's transforms, and functions of NumPy such as ``np.sin`` that act on each row alone).

    Returns
    -------
    Posterior
        The same draws; the design is rebuilt from the formula and the data.

    Raises
    ------
    PosteriorError
        No such file, one that `Posterior.save` did not write, or a design that comes out differently (a function of
        `namespace` is not the one of the fit).
    FormulaError
        The formula calls a function that is neither on the list nor in `namespace`.
    """
    tree = read_tree(path)
    design = _stored_design(tree, namespace)
    family = get_family(tree.attrs["family"])
    refuse_another_design(group_of(tree, "check"), design)
    draws = tree["draws"].to_dataset()
    stored = tree["parts"].children if "parts" in tree else {}
    return Posterior(
        design=design,
        family=family,
        link=resolve_link(family, tree.attrs["link"]),
        **_read(draws, design),
        aux={p: draws[p] for p in family.aux if p in draws},
        sample_stats=group_of(tree, "sample_stats"),
        info=json.loads(tree.attrs["info"]),
        parts={n: _load_part(node, n, design, namespace) for n, node in stored.items()},
    )


def _stored_design(tree: xr.DataTree, namespace: Mapping[str, Callable[..., Any]] | None) -> Design:
    formula = tree.attrs["formula"]
    if "levels" in tree.attrs:
        return template_design(formula, json.loads(tree.attrs["levels"]), namespace=namespace, stored=True)
    return build_design(formula, to_frame(tree["data"].to_dataset()), namespace=namespace, stored=True)


def _load_part(node: Any, name: str, of: Design, namespace: Mapping[str, Callable[..., Any]] | None) -> Posterior:
    design = build_part(name, node.attrs["formula"], of, namespace=namespace, stored=True)
    refuse_another_design(node["check"].to_dataset(), design)
    draws = _read(node.to_dataset(), design)
    return make_part(name, design, node.attrs["link"], draws, json.loads(node.attrs["info"]))


def _read(stored: xr.Dataset, design: Design) -> dict[str, Any]:
    draws = in_design_order(stored, design)
    return {
        "beta": draws["beta"],
        "b": {f: draws[f"b_{f}"] for f in design.factors if f"b_{f}" in draws},
        "Sigma": {f: draws[f"Sigma_{f}"] for f in design.factors},
    }
