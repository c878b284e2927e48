"""The fitted groups beside their population: each group's own prediction, or its b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.errors import PosteriorError, ResultError, close_matches, listed, shown
from bayesmargins.estimands import avg_predictions
from bayesmargins.explained import PICTURE, QUESTION, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.labelling import worded
from bayesmargins.plots.axes_asked import Rows, first_of, is_posterior
from bayesmargins.plots.behind import check_factor
from bayesmargins.plots.listing import Listing, furnish, standing_out
from bayesmargins.plots.marks import axis_of_ratios, bars, null_line
from bayesmargins.plots.panels import WIDE, Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.styles import COLOURS, PALE, Style
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import Provenance, make_result
from bayesmargins.schema import public_name
from bayesmargins.values import is_word, switch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["others_of", "plot_groups", "the_factor"]

_TERM = "term"


@taught
@explained(QUESTION, PICTURE)
def plot_groups(
    ds: Posterior | Imputed | xr.Dataset,
    factor: str | None = None,
    *,
    effects: bool = False,
    sort: bool | str = True,
    highlight: Any = None,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    groups: Any = None,
    target: Any = None,
    wts: Any = None,
    random_seed: int | None = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """How do the fitted groups lie around the population?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior: every fitted group's own prediction, averaged over its own rows, as ``avg_predictions(post,
        by=factor, groups="own")`` has it, and the average over new groups as a line with its interval behind. Or a
        result that varies over a factor, without that line.
    factor : str, optional
        The grouping factor; may be left out where there is one only.
    effects : bool
        Of a posterior: the group effects b themselves, on the scale of the link, a panel for each term.
    sort : bool or "descending"
        By the points, the smallest on top, which is the default, or the largest; False keeps the order of the levels.
        Panels share the order of the first one.
    highlight : object, optional
        The group that stands out.
    groups : str or dict, optional
        Of a posterior: what is done with the b of other grouping factors; ``"new"`` by default, which integrates over
        N(0, Sigma).

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        A caterpillar: one row a group, sorted. A category of the response has a panel each.

    Raises
    ------
    ResultError
        No grouping factor of that name, or a result that varies over none.
    PosteriorError
        Draws that came without b.
    EstimandError, DataError, GroupsError
        As `avg_predictions`.

    Notes
    -----
    A group's own prediction differs from that of others by its rows too, not by its b alone: ``effects=True`` shows b.
    Both are estimates under the model, pulled toward the population the more the fewer rows a group has.

    Examples
    --------
    >>> plot_groups(post).get_xlabel()
    'probability'
    >>> plot_groups(post, effects=True).get_xlabel()
    'b of ID, logit scale (Intercept)'
    """
    rows = Rows(newdata, at, groups, None, target, wts, random_seed)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    if not is_posterior(ds):
        rows.refuse("plot_groups", {"effects": effects})
        cells = Cells.of(ds, **how)
        picture = _Picture(cells, _factor_of(cells, factor), None)
    elif switch("effects", effects, ResultError):
        _refuse_question(rows)
        picture = _of_effects(ds, the_factor(first_of(ds), factor), how)
    else:
        picture = _of_posterior(ds, the_factor(first_of(ds), factor), rows, how)
    return picture.draw(sort, highlight, ax, figsize)


@dataclass(frozen=True)
class _Picture:
    """Groups with their numbers, the columns that name a group, and the population's number in each panel."""

    cells: Cells
    factor: tuple[str, ...]
    population: Cells | None
    own_axes: bool = False  # of every panel: its numbers are of another kind

    def draw(self, sort: Any, highlight: Any, ax: Any, figsize: Any) -> Axes | Figure:
        cells = self.cells
        others = [c for c in cells.varies if c not in self.factor]
        if len(others) > 1:
            raise ResultError(
                f"Beside the groups the result varies over {listed(others)}, and this picture has panels for one of "
                "them: select a value of the others, such as with ds.sel, or leave them out of the question."
            )
        across = others[0] if others else None
        listing = Listing.of(cells, across, sort, headings=False)
        panels = self._panels(listing, across, ax, figsize)
        chosen = standing_out(cells, listing.columns, highlight)
        for axes, values in panels.axes:
            here = np.ones(len(cells), dtype=bool)
            for column, value in values.items():
                here &= (cells.columns[column] == value).to_numpy()
            self._draw_population(axes, values)
            for which, style in ((here & ~chosen, Style(PALE)), (here & chosen, Style())):
                some = np.flatnonzero(which)
                if len(some):
                    bars(axes, listing.at[some], cells.take(some), style, flat=True)
            axis_of_ratios(axes, cells, "x")
            null_line(axes, cells.null, "x")
        said = "" if self.population is None else "line and band: the average over new groups"
        return furnish(panels, listing, cells, [said])

    def _panels(self, listing: Listing, across: str | None, ax: Any, figsize: Any) -> Panels:
        n = 1 if across is None else len(self.cells.levels(across))
        width, height = listing.size(0.2)
        usual = (width, height) if n == 1 else (WIDE, height * -(-n // 4))
        return Panels.of(self.cells, across, None, ax, figsize, usual, same_x=not self.own_axes)

    def _draw_population(self, axes: Axes, values: Mapping[str, Any]) -> None:
        if self.population is None:
            return
        one = self.population
        for column, value in values.items():
            one = one.where(column, value)
        for lower, upper in one.limits:
            axes.axvspan(lower[0], upper[0], color=COLOURS[1], alpha=0.15, linewidth=0, zorder=0)
        axes.axvline(one.point[0], color=COLOURS[1], linewidth=1.2, zorder=0.5)


def _of_posterior(post: Any, factor: str, rows: Rows, how: Mapping[str, Any]) -> _Picture:
    others = others_of(first_of(post), factor, rows.groups)
    columns = list(first_of(post).design.factors[factor].columns)
    asked = {k: v for k, v in rows.question({}).items() if k != "groups"}
    own = avg_predictions(post, by=columns, groups={factor: "own", **others}, **asked)
    new = avg_predictions(post, groups={factor: "new", **others}, **asked)
    return _Picture(Cells.of(own, **how), tuple(public_name(c) for c in columns), Cells.of(new, **how))


def _of_effects(post: Posterior | Imputed, factor: str, how: Mapping[str, Any]) -> _Picture:
    """b itself; of several imputations those of each."""
    ds = post.ask_each(_effects, factor) if isinstance(post, Imputed) else _effects(post, factor)
    return _Picture(Cells.of(ds, **how), (public_name(factor),), None, own_axes=True)


def _effects(post: Posterior, factor: str) -> xr.Dataset:
    """b as a result: one entry a group and term."""
    if factor not in post.b:
        raise PosteriorError(f"The draws came without the b of {factor!r}: effects=True has nothing to draw.")
    b, name, own = post.b[factor], public_name(factor), post.design.factors[factor].own_terms()
    levels, terms = b[b.dims[2]].to_numpy(), list(own)
    scale = f"b of {worded(factor, post.labels)}, {post.link.name} scale"
    about = Provenance(kind="coefficients", groups={factor: "own"}, formula=post.formula, scale=scale, draws=post.kind)
    values = post.draws.b[factor][:, :, list(own.values())]
    return make_result(values, [name, _TERM], {name: levels, _TERM: terms}, about, post.sample_coords)


def _refuse_question(rows: Rows) -> None:
    said = list(rows.given())
    if said:
        raise ResultError(f"effects=True draws b itself, of no rows: leave {listed(said)} out.")


def the_factor(post: Posterior, factor: Any, what: str = "factor") -> str:
    """The grouping factor that was named, or the only one."""
    factors = list(post.design.factors)
    if factor is None and len(factors) == 1:
        return factors[0]
    if not factors:
        raise ResultError(f"{post.formula!r} has no grouping factor: there are no groups to draw.")
    return check_factor(post, factor, what)


def others_of(post: Posterior, factor: str, groups: Any) -> dict[str, Any]:
    """What is done with the b of the other factors."""
    others = [f for f in post.design.factors if f != factor]
    if groups is None:
        return dict.fromkeys(others, "new")
    if (isinstance(groups, Mapping) and factor in groups) or not others:
        raise ResultError(
            f"groups={shown(groups)} is for the grouping factors beside {factor!r}, whose groups the picture shows: "
            f"{listed(others) if others else 'there are none'}."
        )
    return dict(groups) if isinstance(groups, Mapping) else dict.fromkeys(others, groups)


def _factor_of(cells: Cells, factor: Any) -> tuple[str, ...]:
    """Columns of a result that name its groups."""
    known = [str(f) for f in (cells.about.groups or {})]
    if factor is not None and not is_word(factor, [*known, *map(str, cells.columns)]):
        raise ResultError(
            f"factor={shown(factor)}; it must be a grouping factor of the result: {listed(known)}."
            f"{close_matches(factor, known)}"
        )
    for name in known if factor is None else [str(factor)]:
        parts = [public_name(p) for p in str(name).replace("/", ":").split(":")]
        found = [c for c in (public_name(name), *parts) if c in cells.varies]
        if found:
            return tuple(dict.fromkeys(found))
    raise ResultError(
        f"The result varies over {listed(cells.varies)}, and not over groups ({listed(known)}): ask "
        "avg_predictions(post, by='group', groups='own'), or give plot_groups the posterior."
    )
