"""Pictures of kinds: forests, densities, groups, heterogeneity and attenuation hold the numbers of `summary`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import reference
import xarray as xr
from matplotlib.colors import to_hex
from test_pictures import COLUMN, check_numbers, check_room, figure_of, limits_drawn, made, points_drawn

import bayesmargins as bm
from bayesmargins.plots.marks import INTERVAL, POINT
from bayesmargins.plots.shapes import stacks


@pytest.fixture(scope="module")
def heterogeneity(post: bm.Posterior) -> xr.Dataset:
    return bm.heterogeneity(post, {"trt": ("placebo", "drug")}, null=-0.15)


@pytest.fixture(scope="module")
def attenuation(post: bm.Posterior) -> xr.Dataset:
    return bm.attenuation(post, {"trt": ("placebo", "drug")}, by="week")


def labels(ax: Any) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def points(ax: Any) -> np.ndarray:
    return np.concatenate([np.asarray(line.get_xdata(), float) for line in ax.lines if line.get_gid() == POINT])


CLINICS = [f"clinic {k:02d}" for k in range(24)]
BLOCKS = made("comparisons", contrast=["b - a", "c - a"], severity=["mild", "moderate", "severe"])
ONE = made("comparisons", contrast=["b - a"])


# ---- forests


@pytest.mark.parametrize("ci_prob", [0.89, [0.5, 0.89]])
def test_a_forest_holds_the_numbers_of_summary(ci_prob: Any) -> None:
    for ds in (BLOCKS, ONE, made(clinic=CLINICS), made(age=[20.0, 40.0], arm=["a", "b"], sex=["f", "m"])):
        check_numbers(ds, figure_of(bm.plot_forest(ds, ci_prob=ci_prob)), ci_prob=ci_prob)


def test_bars_run_from_limit_to_limit_where_the_mean_lies_outside() -> None:
    ds = made(clinic=["a"])
    skewed = ds.copy(data={"estimate": ds["estimate"] * 0 + np.exp(np.linspace(-6, 6, 60)).reshape(2, 30, 1)})
    table = bm.summary(skewed, point="mean", ci_prob=0.5)
    assert table["mean"].item() > table["eti50_ub"].item()
    drawn = limits_drawn(figure_of(bm.plot_forest(skewed, point="mean", ci_prob=0.5)))
    np.testing.assert_allclose(drawn, table[["eti50_lb", "eti50_ub"]].to_numpy().ravel())


def test_what_repeats_is_a_heading_and_what_all_share_stands_at_the_axis() -> None:
    ax = bm.plot_forest(BLOCKS)
    rows = ["  mild", "  moderate", "  severe"]
    assert labels(ax) == ["b - a", *rows, "c - a", *rows]
    assert [t.get_fontweight() == "bold" for t in ax.get_yticklabels()] == [True, False, False, False] * 2
    assert ax.get_ylabel() == "severity"
    shared = bm.plot_forest(made("comparisons", contrast=["b - a"], severity=["mild", "severe"]))
    assert labels(shared) == ["mild", "severe"]
    assert shared.get_xlabel().endswith("(b - a)")
    assert labels(bm.plot_forest(BLOCKS, headings="severity"))[:3] == ["severity mild", "  b - a", "  c - a"]
    assert labels(bm.plot_forest(BLOCKS, headings=False))[1] == "b - a, severity moderate"
    assert labels(bm.plot_forest(made(arm=["a", "b"]), labels={"arm": "treatment"})) == ["a", "b"]


def test_contrasts_of_several_variables_stand_under_their_variable(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post)
    assert labels(bm.plot_forest(ds, headings="term"))[:2] == ["trt", "  drug - placebo"]
    assert labels(bm.plot_forest(ds))[0] == "trt: drug - placebo"


@pytest.mark.parametrize(("sort", "sign"), [(True, 1), ("descending", -1)])
def test_rows_are_sorted_within_their_headings(sort: Any, sign: int) -> None:
    shuffled = BLOCKS.isel(severity=[1, 0, 2], contrast=[1, 0])
    drawn = points(bm.plot_forest(shuffled, sort=sort))
    at = np.concatenate([line.get_ydata() for line in plt.gca().lines if line.get_gid() == POINT])
    for block in np.split(drawn[np.argsort(at)], 2):
        assert (np.diff(sign * block) > 0).all()
    np.testing.assert_allclose(points(bm.plot_forest(shuffled)), bm.summary(shuffled)["median"])


def test_ratios_stand_on_a_logarithmic_axis_with_no_effect_at_one(post: bm.Posterior) -> None:
    ax = bm.plot_forest(bm.avg_comparisons(post, "trt", comparison="or", by="week"), figsize=COLUMN)
    assert ax.get_xscale() == "log"
    assert ax.lines[-1].get_xdata()[0] == 1.0
    assert "1" in [t.get_text() for t in ax.get_xticklabels()]
    check_room(figure_of(ax))


def test_results_side_by_side_have_colours_and_results_of_one_entry_are_rows() -> None:
    other = made("comparisons", contrast=["b - a", "c - a"], severity=["mild", "moderate", "worse"])
    ax = bm.plot_forest({"one": BLOCKS, "two": other}, sort=True)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two"]
    wanted = np.concatenate([bm.summary(d)["median"] for d in (BLOCKS, other)])
    np.testing.assert_allclose(np.sort(points(ax)), np.sort(wanted))
    assert [t.strip() for t in labels(ax)] == [
        "b - a",
        "mild",
        "moderate",
        "severe",
        "worse",
        "c - a",
        "mild",
        "moderate",
        "severe",
        "worse",
    ]
    first, second = (np.asarray(line.get_ydata()) for line in ax.lines if line.get_gid() == POINT)
    np.testing.assert_allclose(second - first, [0.18, 0.18, 1.18] * 2)  # entries of both share their rows
    rows = bm.plot_forest({"one": ONE, "two": ONE})
    assert labels(rows) == ["one", "two"]
    assert rows.get_legend() is None


def test_the_region_of_equivalence_is_shaded_and_said() -> None:
    ax = bm.plot_forest(BLOCKS, rope=(-0.05, np.inf))
    assert any(p.get_x() == -0.05 for p in ax.patches)
    assert "practically no effect, -0.05 to inf" in ax.texts[0].get_text()


def test_more_rows_than_have_labels_are_sorted_and_said_to_be() -> None:
    ax = bm.plot_forest(made(patient=[f"p{k}" for k in range(201)]))
    assert labels(ax) == []
    assert (np.diff(points(ax)) != 0).all()
    assert "201 entries, sorted" in ax.texts[0].get_text()
    low = bm.plot_forest(made(patient=[f"p{k}" for k in range(60)]), figsize=(3.35, 2.0))
    assert labels(low) == []
    assert "too many rows" in low.texts[0].get_text()


def test_one_row_stands_out() -> None:
    ax = bm.plot_forest(made(clinic=CLINICS), highlight="clinic 05")
    sizes = {to_hex(line.get_color()): len(line.get_xdata()) for line in ax.lines if line.get_gid() == POINT}
    assert sorted(sizes.values()) == [1, 23]
    assert sizes[to_hex("#0072B2")] == 1


# ---- densities


@pytest.mark.parametrize("kind", ["halfeye", "density"])
def test_densities_have_one_area_or_one_height(kind: str) -> None:
    ds = made("comparisons", contrast=["b - a", "c - a"])
    ds["estimate"][..., 1] = 2 * ds["estimate"][..., 1] - 0.3  # twice as wide

    def areas(**how: Any) -> list[tuple[float, float]]:
        ax = bm.plot_densities(ds, kind=kind, **how)
        edges = [np.asarray(line.get_xydata()).T for line in ax.lines if len(line.get_xdata()) > 100]
        high = [(x, row + 0.3 - y) for row, (x, y) in enumerate(edges)]  # rows stand on a line .3 below their middle
        return [(float(np.trapezoid(h, x)), float(h.max())) for x, h in high]

    (one, _), (two, _) = areas()
    assert one == pytest.approx(two, rel=0.05)
    (_, high), (_, other) = areas(heights="own")
    assert high == pytest.approx(other)


def test_a_half_eye_holds_the_numbers_of_summary() -> None:
    check_numbers(BLOCKS, figure_of(bm.plot_densities(BLOCKS, ci_prob=[0.5, 0.9])), ci_prob=[0.5, 0.9])


def test_dots_are_quantiles_that_do_not_overlap() -> None:
    ax = bm.plot_densities(made("comparisons", contrast=["b - a", "c - a"]), kind="dots", quantiles=50, figsize=(5, 3))
    figure = figure_of(ax)
    found = [c for c in ax.collections if len(c.get_offsets()) == 50]
    assert len(found) == 2
    for of in found:
        pixels = ax.transData.transform(of.get_offsets())
        wide = np.sqrt(of.get_sizes()[0]) * figure.dpi / 72
        apart = np.hypot(*(pixels[:, None] - pixels[None]).T) + 1e9 * np.eye(50)
        assert apart.min() >= wide
        assert ax.get_window_extent().contains(*pixels.max(axis=0))
        assert ax.get_window_extent().contains(*pixels.min(axis=0))


def test_stacks_keep_all_dots_and_their_order() -> None:
    values = np.random.default_rng(1).normal(size=200)
    at, level = stacks(values, 0.2)
    assert (np.diff(at) >= 0).all()
    assert (np.diff(np.unique(at)) >= 0.2 - 1e-12).all()
    assert np.abs(at - np.sort(values)).max() <= 0.4
    assert all((np.sort(level[at == a]) == np.arange((at == a).sum())).all() for a in np.unique(at))


def test_draws_of_one_value_have_a_point_and_no_density() -> None:
    ds = made(arm=["a", "b"])
    ds["estimate"][..., 0] = 0.3
    ax = bm.plot_densities(ds)
    assert len([line for line in ax.lines if len(line.get_xdata()) > 100]) == 1


def test_counts_have_bars_of_their_shares() -> None:
    ds = made(arm=["a"])
    counts = np.repeat([0.0, 1.0, 3.0], [30, 20, 10])
    ds["estimate"][:] = counts.reshape(2, 30, 1)
    edge = next(np.asarray(line.get_xydata()) for line in bm.plot_densities(ds, heights="own").lines)
    heights = {k: 0.3 - edge[np.isclose(edge[:, 0], k - 0.5)][-1, 1] for k in range(4)}
    assert [heights[k] / heights[0] for k in range(4)] == pytest.approx([1, 2 / 3, 0, 1 / 3])


# ---- groups


def test_groups_are_their_own_predictions_sorted_beside_their_population(post: bm.Posterior) -> None:
    ax = bm.plot_groups(post, ci_prob=0.8)
    own = bm.summary(bm.avg_predictions(post, by="ID", groups="own"), ci_prob=0.8).sort_values("median")
    np.testing.assert_allclose(np.sort(points(ax)), own["median"])
    at = np.concatenate([line.get_ydata() for line in ax.lines if line.get_gid() == POINT])
    assert (np.diff(points(ax)[np.argsort(at)]) >= 0).all()
    new = bm.summary(bm.avg_predictions(post), ci_prob=0.8).iloc[0]
    line = next(line for line in ax.lines if line.get_gid() is None)
    assert line.get_xdata()[0] == pytest.approx(new["median"])
    band = ax.patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((new["eti80_lb"], new["eti80_ub"]))


def test_effects_of_groups_are_b_with_an_axis_for_each_term() -> None:
    sleep = reference.posterior("d_sleep")
    figure = figure_of(bm.plot_groups(sleep, effects=True))
    drawn = [np.sort(points(ax)) for ax in figure.axes]
    medians = sleep.b["Subject"].median(("chain", "draw")).to_numpy()
    np.testing.assert_allclose(drawn, np.sort(medians, axis=0).T)
    assert figure.axes[0].get_xlim() != figure.axes[1].get_xlim()
    check_room(figure)


def test_a_result_over_groups_has_no_population() -> None:
    ds = made(clinic=CLINICS)
    with pytest.raises(bm.ResultError, match="not over groups"):
        bm.plot_groups(ds)
    ax = bm.plot_groups(ds, "clinic")
    assert len(ax.patches) == 0
    np.testing.assert_allclose(np.sort(points(ax)), np.sort(bm.summary(ds)["median"]))


# ---- heterogeneity and attenuation


def test_heterogeneity_rises_through_the_quantiles_and_says_the_share(
    post: bm.Posterior, heterogeneity: xr.Dataset
) -> None:
    ax = bm.plot_heterogeneity(heterogeneity)
    table = bm.summary(heterogeneity).reset_index().set_index("statistic")
    rows = table.loc[["q05", "q25", "q50", "q75", "q95"]]
    (x, y, _), *_ = points_drawn(figure_of(ax))
    np.testing.assert_allclose(x, rows["median"])
    np.testing.assert_allclose(y, [0.05, 0.25, 0.5, 0.75, 0.95])
    band = next(c for c in ax.collections if c.get_gid() == INTERVAL).get_paths()[0].vertices
    np.testing.assert_allclose(band[:, 0].min(), rows["eti89_lb"].min())
    share = table.loc["share > -0.15", "median"]
    said = next(t for t in ax.texts if t.get_gid() == "bayesmargins-above")
    said = said.get_text().replace("\n", " ").replace("\u00a0", " ")
    assert f"{share:.2f} [" in said
    assert "] of new groups have an effect above -0.15" in said
    check_room(figure_of(bm.plot_heterogeneity(heterogeneity, figsize=COLUMN)))


def test_fitted_groups_stand_beside_the_distribution(post: bm.Posterior) -> None:
    few = post.design.data.head(5)
    ax = bm.plot_heterogeneity(post, {"week": (0, 6)}, newdata=few)
    levels = list(post.design.factors["ID"].levels)
    own = bm.avg_comparisons(post, {"week": (0, 6)}, newdata=few, groups={"ID": levels})
    circles = next(c for c in ax.collections if len(c.get_offsets()) == len(levels)).get_offsets()
    np.testing.assert_allclose(circles[:, 0], np.sort(bm.summary(own)["median"]), rtol=1e-9)


def test_attenuation_has_the_four_policies_and_says_ratio_and_difference(attenuation: xr.Dataset) -> None:
    ds = attenuation.isel(week=[0])
    ax = bm.plot_attenuation(ds)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["zero", "own", "existing", "new"]
    table = bm.summary(ds).reset_index().set_index("groups")["median"]
    heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines if line.get_gid() == POINT])
    policies = [table[policy] for policy in ("zero", "own", "existing", "new")]
    np.testing.assert_allclose(heights, policies)
    said = " ".join(ax.texts[0].get_text().split())
    assert f"new / zero {table['new / zero']:.1f} [" in said
    assert "new - zero" in said
    assert "not drawn" not in said
    check_room(figure_of(bm.plot_attenuation(ds, figsize=COLUMN)))
    check_room(figure_of(bm.plot_attenuation(attenuation, figsize=(6.7, 4.4))))


# ---- all of them

SIZES = [COLUMN, (6.7, 4.4)]
LONG = made("comparisons", contrast=["interpersonal psychotherapy - waiting list control", "b - a"], arm=["x", "y"])


@pytest.mark.parametrize("size", SIZES, ids=["85 mm", "170 mm"])
@pytest.mark.parametrize("draw", [bm.plot_forest, bm.plot_densities], ids=["forest", "densities"])
@pytest.mark.parametrize("ds", [BLOCKS, ONE, LONG, made(clinic=CLINICS)], ids=["blocks", "one", "long", "24"])
def test_words_have_room(draw: Callable[..., Any], ds: xr.Dataset, size: tuple[float, float]) -> None:
    check_room(figure_of(draw(ds, figsize=size)))


def test_pictures_are_drawn_on_axes_that_are_given(
    post: bm.Posterior, heterogeneity: xr.Dataset, attenuation: xr.Dataset
) -> None:
    _, axes = plt.subplots(1, 5, figsize=(20, 4))
    assert bm.plot_forest(BLOCKS, ax=axes[0]) is axes[0]
    assert bm.plot_densities(BLOCKS, ax=axes[1]) is axes[1]
    assert bm.plot_groups(post, ax=axes[2]) is axes[2]
    assert bm.plot_heterogeneity(heterogeneity, ax=axes[3]) is axes[3]
    assert bm.plot_attenuation(attenuation.isel(week=[0]), ax=axes[4]) is axes[4]


def test_a_null_that_no_array_of_integers_holds_is_a_number() -> None:
    assert bm.plot_densities(BLOCKS, null=2**64).get_xlim()[1] > 2**64


REFUSED: list[tuple[str, Callable[[bm.Posterior], Any]]] = [
    ("must be one of .*'descending'", lambda p: bm.plot_forest(BLOCKS, sort="up")),
    (r"headings='severty'.* Did you mean 'severity'", lambda p: bm.plot_forest(BLOCKS, headings="severty")),
    ("leaves no label", lambda p: bm.plot_forest(made(arm=["a", "b"]), headings="arm")),
    ("must be the value of a row", lambda p: bm.plot_forest(BLOCKS, highlight="d - a")),
    ("two numbers, the lower first", lambda p: bm.plot_forest(BLOCKS, rope=0.1)),
    ("must be the value of a row", lambda p: bm.plot_forest(BLOCKS, highlight=BLOCKS)),
    ("kind='violin'; allowed are halfeye, density, dots", lambda p: bm.plot_densities(BLOCKS, kind="violin")),
    ("quantiles=0", lambda p: bm.plot_densities(BLOCKS, kind="dots", quantiles=0)),
    ("201 entries", lambda p: bm.plot_densities(made(patient=[f"p{k}" for k in range(201)]))),
    ("must be a grouping factor", lambda p: bm.plot_groups(p, "trt")),
    ("leave", lambda p: bm.plot_groups(p, effects=True, at={"week": 3})),
    ("belongs to the question", lambda p: bm.plot_groups(made(clinic=CLINICS), "clinic", effects=True)),
    ("beside 'ID'", lambda p: bm.plot_groups(p, groups="new")),
    ("draws what heterogeneity", lambda p: bm.plot_heterogeneity(BLOCKS)),
    ("belongs to the question", lambda p: bm.plot_heterogeneity(BLOCKS, "trt")),
    ("draws what attenuation", lambda p: bm.plot_attenuation(BLOCKS)),
    ("has a panel for each value", lambda p: bm.plot_groups(
        reference.posterior("d_sleep"), effects=True, ax=plt.gca())),
]  # fmt: skip


@pytest.mark.parametrize(("said", "ask"), REFUSED, ids=[f"{k}: {r[0]}" for k, r in enumerate(REFUSED)])
def test_what_cannot_be_drawn_is_refused(post: bm.Posterior, said: str, ask: Callable[[bm.Posterior], Any]) -> None:
    with pytest.raises(bm.ResultError, match=said):
        ask(post)
