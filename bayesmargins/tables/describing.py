"""What a result is, in words: the estimand sentence and the scale."""

from __future__ import annotations

import xarray as xr

from bayesmargins.habits import taught
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result, fingerprint

__all__ = ["describe", "is_original", "scale_of"]


@taught
def describe(ds: xr.Dataset) -> str:
    """What are these numbers, in one sentence?

    Parameters
    ----------
    ds : Dataset
        A result, or arithmetic on one.

    Returns
    -------
    str
        The estimand. Where the values are no longer those that were computed (selected, subtracted, transformed in
        xarray) the sentence says that they are derived from it.

    Raises
    ------
    ResultError
        No result of this package.

    Examples
    --------
    >>> describe(avg_predictions(post, groups="zero"))[:46]
    'Average probability of yb, over the 220 rows o'
    """
    check_result(ds)
    sentence = ds.attrs.get("estimand")
    if sentence is None and "bayesmargins_version" in ds.attrs:
        # xarray keeps of two results' attributes what they share.
        shared = ", ".join(f"{k} {ds.attrs[k]}" for k in ("kind", "scale", "formula", "groups", "by") if k in ds.attrs)
        draws = ds.attrs.get("draws", "posterior")
        of = "" if draws == "posterior" else f" Their draws: {draws}."
        return f"Derived by arithmetic from results that differ in what they ask; what they share: {shared}.{of}"
    if sentence is None:
        return "Draws without provenance: this Dataset was not made by bayesmargins."
    if is_original(ds):
        return str(sentence)
    return f"Derived (selected, combined or transformed after it was computed) from: {sentence}"


def scale_of(ds: xr.Dataset) -> str:
    """On which scale are these numbers, as far as is known?

    Parameters
    ----------
    ds : Dataset
        A result, or arithmetic on one.

    Returns
    -------
    str
        ``"difference in probability"``; ``"derived from probability"`` after arithmetic or selection.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> scale_of(avg_predictions(post)), scale_of(avg_predictions(post) * 100)
    ('probability', 'derived from probability')
    """
    scale = str(ds.attrs.get("scale", ESTIMATE))
    return scale if "scale" not in ds.attrs or is_original(ds) else f"derived from {scale}"


def is_original(ds: xr.Dataset) -> bool:
    """Whether the values are still those that the provenance describes.

    Raises
    ------
    Nothing.
    """
    values = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...).to_numpy()
    return fingerprint(values) == ds.attrs.get("fingerprint")
