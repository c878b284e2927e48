"""What a result is, in words: the estimand sentence and the scale."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError
from bayesmargins.habits import taught
from bayesmargins.labelling import named, names_of, terms_worded
from bayesmargins.provenance import is_original, provenance_of, seal, selected
from bayesmargins.schema import ESTIMATE, check_result
from bayesmargins.tables.captions import clause_parts, what_of
from bayesmargins.values import switch

__all__ = ["SEVERAL", "clause_of", "describe", "on_one_scale", "scale_of", "scales_along"]

SEVERAL = "several scales"


@taught
def describe(ds: xr.Dataset, short: bool = False) -> str:
    """What are these numbers, in one sentence, or in a few words for a caption?

    Parameters
    ----------
    ds : Dataset
        A result, or arithmetic on one.
    short : bool
        A clause in place of the sentence, as it stands above tables: the quantity, its contrasts, the columns that it
        varies over, and the groups. The rows, and how they were averaged, are in the sentence alone.

    Returns
    -------
    str
        The estimand. If entries were selected (``ds.sel``, ``ds.isel``), it says which. If the values were changed in
        xarray (subtracted, averaged, transformed, thinned), it says that they are derived from the estimand. If
        results were put side by side (``xr.concat``), it says that the sentence is that of one of them. `attenuation`
        and `hypotheses` of several results say what each of them is. A selection from more than 4,096 entries, or one
        that drops the labels (``drop=True``), counts as derived.

    Raises
    ------
    ResultError
        No result of this package.

    Examples
    --------
    >>> describe(avg_predictions(post, groups="zero"))[:46]
    'Average probability of yb, over the 220 rows o'
    >>> describe(avg_comparisons(post, {"trt": ("placebo", "drug")}), short=True)
    'risk difference for yb, drug - placebo, averaged over new groups of ID'
    """
    ds = check_result(ds)
    if switch("short", short, ResultError):
        return ", ".join(clause_of(ds))
    about = provenance_of(ds)
    sentence = about.estimand
    if sentence is None and about.bayesmargins_version is not None:
        # xarray keeps of two results' attributes what they share.
        kept = about.to_attrs()
        shared = ", ".join(f"{k} {kept[k]}" for k in ("kind", "scale", "formula", "groups", "by") if k in kept)
        draws = about.draws or "posterior"
        of = "" if draws == "posterior" else f" Their draws: {draws}."
        return f"Derived by arithmetic from results that differ in what they ask; what they share: {shared}.{of}"
    if sentence is None:
        return "Draws without provenance: this Dataset was not made by bayesmargins."
    if is_original(ds):
        return f"{sentence.removesuffix('.')}; of which {_selection(ds)}." if selected(ds) else sentence
    if _is_several(ds):
        return (
            "Derived: there are more numbers than one result has (several were put side by side, or repeated), and "
            f"what follows was said of the first alone: {sentence}"
        )
    return f"Derived (selected, combined or transformed after it was computed) from: {sentence}"


def clause_of(ds: xr.Dataset) -> tuple[str, ...]:
    """What stands in a caption, part by part: the quantity first. Of what was derived only from which one.

    Examples
    --------
    >>> clause_of(avg_predictions(post, by="trt"))
    ('probability of yb', 'by trt', 'averaged over new groups of ID')
    """
    if provenance_of(ds).scale is None or _is_several(ds):
        return (scale_of(ds),)
    return clause_parts(ds) if is_original(ds) else (f"derived from {what_of(ds)}",)


def scale_of(ds: xr.Dataset) -> str:
    """On which scale are these numbers, as far as is known? ``"several scales"`` where entries differ: `scales_along`.

    Examples
    --------
    >>> scale_of(avg_predictions(post)), scale_of(avg_predictions(post) * 100)
    ('probability', 'derived from probability')
    """
    if provenance_of(ds).scale is None:
        return ESTIMATE
    if _is_several(ds):
        return "several results"
    _, scales = _scales(ds)
    said = scales[0] if len(set(scales)) == 1 else SEVERAL
    return said if is_original(ds) else f"derived from {said}"


def scales_along(ds: xr.Dataset) -> tuple[str, np.ndarray] | None:
    """The dimension along which scales of entries differ, and the scale at each of its labels; else None.

    Examples
    --------
    >>> dim, scales = scales_along(attenuation(post, "week"))
    >>> dim, scales[-1].item()
    ('groups', 'ratio of difference in probability')
    """
    along, scales = _scales(ds)
    if len(set(scales)) < 2 or _is_several(ds):
        return None
    derived = "" if is_original(ds) else "derived from "
    return along, np.array([f"{derived}{scale}" for scale in scales])


def on_one_scale(ds: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """The entries on the scale of the first one, which can stand on one axis, and the labels of the others.

    Examples
    --------
    >>> on_one_scale(attenuation(post, "week"))[1]
    ['new / zero']
    """
    mixed = scales_along(ds)
    if mixed is None:
        return ds, []
    dim, scales = mixed
    alike = scales == scales[0]
    kept = ds.isel({dim: alike})
    if is_original(ds):
        kept = kept.assign_attrs(seal(kept))  # attrs of a selection may be those of the whole
    return kept, ds[dim].to_numpy()[~alike].tolist()


def _scales(ds: xr.Dataset) -> tuple[str, list[str]]:
    """The dimension of mixed scales, and the scale of each of its labels (of the one that was selected)."""
    about = provenance_of(ds)
    scale, known = about.scale or ESTIMATE, about.scales or {}
    along, of = str(known.get("along", "")), known.get("of", {})
    if along not in ds.coords:
        return along, [scale]
    return along, [str(of.get(label, scale)) for label in np.atleast_1d(ds[along].to_numpy()).astype(str)]


def _selection(ds: xr.Dataset) -> str:
    """``"treatment = drug, week = 2"``."""
    texts = {n: f"{v:.12g}" if isinstance(v, float) else str(v) for n, v in selected(ds).items()}
    texts |= {"term": terms_worded(texts["term"], names_of(ds))} if "term" in texts else {}
    return ", ".join(f"{named(ds, n)} = {text}" for n, text in texts.items())


def _is_several(ds: xr.Dataset) -> bool:
    """Whether there are more values than were computed at once: those of another result were put beside them."""
    values = provenance_of(ds).values
    return values is not None and int(ds[ESTIMATE].count()) > values
