"""Every way of fitting finds the same posterior: b integrated, independent proposals, b sampled, and brms.

`make evidence` writes docs/evidence/posteriors.md. Of every parameter and group effect the mean, sd, 5 %
and 95 % quantile are compared, and the correlation of every group effect with every coefficient, in Monte Carlo
standard errors of both sides. ``python benchmarks/evidence_fits_agree.py "two groups"`` prints the lines of a case.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from posterior_cases import HARD, Example, references
from posterior_grid import exact
from scipy import stats

import bayesmargins as bm

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evidence" / "posteriors.md"
LIMIT, DRAWS, ESS, AGAIN = 4.0, 1000, 400, 100
# Ways to fit, by a name: the arguments of fit, and a seed of its own.
WAYS: dict[str, tuple[dict[str, str], int]] = {
    "integrated": ({"group_effects": "integrated"}, 1),
    "independent": ({"sampler": "independent"}, 2),
    "sampled": ({"group_effects": "sampled"}, 3),
    "non-centred": ({"group_effects": "sampled", "parametrisation": "non-centred"}, 4),
}
Numbers = dict[str, tuple[float, float]]  # by quantity: estimate and Monte Carlo standard error


@dataclass
class Pair:
    """What two ways say of each quantity: distances in standard errors of both, by name."""

    example: str
    ways: str
    distance: dict[str, float]
    settled: bool = True  # have both fits converged, by what they say themselves?
    again: str = ""

    @property
    def worst(self) -> str:
        return max(self.distance, key=self.distance.__getitem__)

    @property
    def beyond(self) -> list[str]:
        return [name for name, d in self.distance.items() if not d < LIMIT]

    def line(self) -> str:
        """Of the table."""
        d = np.array([*self.distance.values()])
        last = self.again if self.settled else "*not converged*"
        return (
            f"| {self.example} | {self.ways} | {len(d):,} | {d.max():.1f} | {_code(self.worst)} | "
            f"{np.mean(d > 2):.1%} | {last} |"
        )


@dataclass
class Fitted:
    """One case by all ways that are possible, and what was refused."""

    example: Example
    posts: dict[str, bm.Posterior] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, Numbers] = field(default_factory=dict)

    def settled(self, way: str) -> bool:
        """Whether this fit reached the effective draws that it was to reach, and mixed; others judge themselves."""
        if way not in self.posts:
            return True
        info = self.posts[way].info
        return bool(info["max_rhat"] <= 1.01 and info["min_ess"] >= ESS)

    def lines(self) -> list[str]:
        """Of the table of fits."""
        return [
            f"| {self.example.name} | {way} | {post.beta.sizes['draw']:,} | {post.info.get('divergences', '')} | "
            f"{post.info['max_rhat']:.4f} | {post.info['min_ess']:,.0f} ({_in_table(post.info['least'])}) | "
            f"{'' if self.settled(way) else '*not converged*'} |"
            for way, post in self.posts.items()
        ]


def _code(name: str) -> str:
    return "`" + name.replace("|", r"\|") + "`"


def _fit(model: bm.GLMM, way: str, more: int = 0) -> bm.Posterior:
    arguments, seed = WAYS[way]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        return model.fit(draws=DRAWS, ess=ESS, random_seed=seed + more, progressbar=False, **arguments)


def fitted(example: Example) -> Fitted:
    """By each way, a second form of b sampled in place of what is refused."""
    out = Fitted(example)
    model = _model(example)
    for way in WAYS:
        if way == "non-centred" and not out.refused:
            continue
        try:
            post = _fit(model, way)
        except bm.FitError as error:
            out.refused[way] = str(error)
            continue
        if "independent" in post.info:
            out.refused[way] = post.info["independent"]
            continue
        out.posts[way], out.numbers[way] = post, numbers(post)
    return out


def _model(example: Example) -> bm.GLMM:
    return bm.GLMM(example.formula, example.data(), example.family, example.link or None, example.priors())


def quantities(post: bm.Posterior) -> tuple[list[str], np.ndarray]:
    """Names and draws (chain, draw, quantity) of all parameters and group effects."""
    names, draws = [], []
    for variable, values in post.parameters.data_vars.items():
        dims = values.dims[2:]
        labels = [values[d].to_numpy() if d in values.coords else range(values.sizes[d]) for d in dims]
        flat = values.to_numpy().reshape(*values.shape[:2], -1)
        for k, at in enumerate(np.ndindex(values.shape[2:])):
            name = ", ".join(str(label[i]) for label, i in zip(labels, at, strict=True))
            names.append(f"{variable}[{name}]" if name else str(variable))
            draws.append(flat[..., k])
    return names, np.stack(draws, axis=-1)


def numbers(post: bm.Posterior) -> Numbers:
    """Every number that is compared, with its Monte Carlo standard error."""
    names, x = quantities(post)
    kinds = {
        "mean": (x.mean(axis=(0, 1)), _error(x, "mean")),
        "sd": (x.std(axis=(0, 1)), _error(x, "sd")),
        "5 %": (np.quantile(x, 0.05, axis=(0, 1)), _error(x, "quantile", 0.05)),
        "95 %": (np.quantile(x, 0.95, axis=(0, 1)), _error(x, "quantile", 0.95)),
    }
    out = {
        f"{kind} of {name}": (float(value[k]), float(error[k]))
        for kind, (value, error) in kinds.items()
        for k, name in enumerate(names)
    }
    return out | _correlations(names, x)


def _error(x: np.ndarray, method: str, prob: float | None = None) -> np.ndarray:
    return np.asarray(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=method, prob=prob))


def _correlations(names: list[str], x: np.ndarray) -> Numbers:
    """Of each group effect with each coefficient; the error is that of the mean of its influence function."""
    z = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
    out: Numbers = {}
    beta = [k for k, name in enumerate(names) if name.startswith("beta[")]
    effects = [k for k, name in enumerate(names) if name.startswith("b_")]
    for j in beta:
        product = z[..., effects] * z[..., [j]]
        r = product.mean(axis=(0, 1))
        error = _error(product - r / 2 * (z[..., effects] ** 2 + z[..., [j]] ** 2), "mean")
        for k, value, e in zip(effects, r, error, strict=True):
            out[f"correlation of {names[k]}, {names[j]}"] = (float(value), float(e))
    return out


def pair(example: str, ways: str, a: Numbers, b: Numbers) -> Pair:
    """Distances of what both have."""
    shared = {name: (a[name], b[name]) for name in a if name in b}
    return Pair(example, ways, {k: abs(p[0] - q[0]) / np.hypot(p[1], q[1]) for k, (p, q) in shared.items()})


def of_brms(name: str, post: bm.Posterior) -> Numbers:
    """Means and sds of brms's summary under our names."""
    import reference

    table = pd.read_csv(reference.HERE / name / "posterior_summary.csv").set_index("variable")
    names, x = quantities(post)
    theirs = _their_names(name, post)
    kurtosis = stats.kurtosis(x, axis=None if x.ndim == 1 else (0, 1), fisher=False)
    out: Numbers = {}
    for k, ours in enumerate(names):
        row = table.loc[theirs[ours]]
        spread = min(row.ess_bulk, row.ess_tail)  # of the squares, on which the summary is silent
        out[f"mean of {ours}"] = (row["mean"], row.sd / np.sqrt(row.ess_bulk))
        out[f"sd of {ours}"] = (row.sd, row.sd * np.sqrt((kurtosis[k] - 1) / 4 / spread))
    return out


def _their_names(name: str, post: bm.Posterior) -> dict[str, str]:
    """Our names to brms's."""
    import reference

    ((factor, of),) = post.design.factors.items()
    coef = post.design.coef
    beta = reference.CASES[name].beta if name in reference.CASES else coef
    names = {f"beta[{c}]": f"b_{b}" for c, b in zip(coef, beta, strict=True)}
    names |= {own: own for own in post.aux}
    names |= {f"thresholds[{label}]": f"b_Intercept[{k + 1}]" for k, label in enumerate(_thresholds(post))}
    names |= {f"sd_{factor}[{t}]": f"sd_{factor}__{t}" for t in of.terms}
    names |= {f"cor_{factor}[{a}, {b}]": f"cor_{factor}__{a}__{b}" for a in of.terms for b in of.terms}
    return names | {f"b_{factor}[{level}, {t}]": f"r_{factor}[{level},{t}]" for level in of.levels for t in of.terms}


def _thresholds(post: bm.Posterior) -> list[Any]:
    if "thresholds" not in post.aux:
        return []
    values = post.aux["thresholds"]
    dim = values.dims[2]
    return [*(values[dim].to_numpy() if dim in values.coords else range(values.shape[2]))]


def compared(example: Example) -> tuple[list[Pair], Fitted]:
    """All pairs of one case, and its fits."""
    found = fitted(example)
    ways = [*found.numbers]
    pairs = [_checked(found, a, b) for k, a in enumerate(ways) for b in ways[k + 1 :]]
    for title, other in _outside(found).items():
        pairs += [_against(found, way, title, other) for way in ways]
    return pairs, found


def _outside(found: Fitted) -> dict[str, Numbers]:
    """What others say of this posterior: brms, and integration over a grid."""
    first, example = next(iter(found.posts.values())), found.example
    out = {"brms": of_brms(example.brms, first)} if example.brms else {}
    by_grid = exact(example.name, example.data())
    return out | ({"quadrature": {k: (v, 0.0) for k, v in by_grid.items()}} if by_grid else {})


def _checked(found: Fitted, a: str, b: str) -> Pair:
    """Both ways; where a number is too far off, both once more at other seeds."""
    name, ways = found.example.name, f"{a}, {b}"
    first = pair(name, ways, found.numbers[a], found.numbers[b])
    first.settled = found.settled(a) and found.settled(b)
    if first.beyond and first.settled:
        model = _model(found.example)
        first.again = _again(first, pair(name, ways, *(numbers(_fit(model, way, AGAIN)) for way in (a, b))))
    return first


def _against(found: Fitted, way: str, title: str, other: Numbers) -> Pair:
    first = pair(found.example.name, f"{way}, {title}", found.numbers[way], other)
    first.settled = found.settled(way)
    if first.beyond and first.settled:
        second = pair(found.example.name, title, numbers(_fit(_model(found.example), way, AGAIN)), other)
        first.again = _again(first, second)
    return first


def _again(first: Pair, second: Pair) -> str:
    return "; ".join(
        f"{_code(name)} {first.distance[name]:.1f}, then {second.distance[name]:.1f}" for name in first.beyond
    )


def page(pairs: list[Pair], fits: list[str], refused: list[str], examples: list[Example], missing: list[str]) -> str:
    """All of it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    judged = [p for p in pairs if p.settled]
    every = np.concatenate([[*p.distance.values()] for p in judged])
    far = sum(bool(p.beyond) for p in judged)
    stopped = [f"The run was stopped before these: {', '.join(missing)}.", ""] if missing else []
    return "\n".join([
        "# Evidence: one posterior by every way of fitting",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}.",
        "",
        'Do all ways of fitting draw from one posterior? Each case is fitted with `group_effects="integrated"`, with '
        '`sampler="independent"` and with `group_effects="sampled"`, at seeds 1, 2 and 3. A fit has 4 chains of '
        f"{DRAWS:,} draws, or more until the effective sample size is 400. If one of these fits is not possible, "
        '`parametrisation="non-centred"` is compared as well (seed 4). The priors are written down in '
        "`benchmarks/posterior_cases.py` and do not read y.",
        "",
        "These numbers are compared: the mean, the standard deviation and the 5 % and 95 % quantile of every parameter "
        "and every group effect, and the correlation of every group effect with every coefficient. The distance of two "
        "numbers is in Monte Carlo standard errors of both sides. *largest* is the largest distance of all *numbers*. "
        "*beyond 2* is the share of distances above 2, which is 4.6 % if two fits draw from one posterior. *brms* "
        "stands for means and standard deviations of a fit with brms 2.18, and *quadrature* for those by sums over a "
        f"grid of two parameters, in SciPy. If a number lies beyond {LIMIT:g}, both fits are made again at other "
        "seeds, and *again* says how far apart that number is then.",
        "",
        f"{len(every):,} numbers are compared in {len(judged)} pairs of fits. {np.mean(every > 2):.1%} lie beyond 2, "
        f"{_count(every, 3)}, {_count(every, LIMIT)}, in {far} pairs. A fit stands in two pairs or more, and its "
        "numbers move together. So such counts vary more than those of independent numbers. In "
        f"{len(pairs) - len(judged)} pairs a fit says itself that it has not converged (r-hat above 1.01, or less than "
        f"{ESS} effective draws). These pairs are shown, and not counted.",
        "",
        *stopped,
        "| case | formula | family | |",
        "| --- | --- | --- | --- |",
        *(f"| {e.name} | {_code(e.formula)} | {e.family} | {e.note} |" for e in examples),
        "",
        "| case | fits | numbers | largest | of | beyond 2 | again |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(p.line() for p in pairs),
        "",
        "This table lists the fits: draws of each chain, divergences, the largest r-hat and the smallest effective "
        "sample size.",
        "",
        "| case | fit | draws | divergences | r-hat | ESS | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *fits,
        "",
        "These fits were refused, for the reason given:",
        "",
        "| case | fit | reason |",
        "| --- | --- | --- |",
        *refused,
        "",
    ])  # fmt: skip


def _count(distances: np.ndarray, limit: float) -> str:
    expected = len(distances) * 2 * stats.norm.sf(limit)
    return f"{np.sum(~(distances < limit)):,} beyond {limit:g} (of normal distances {expected:.1f} would)"


def _in_table(text: str) -> str:
    return text.replace("|", r"\|")


def main() -> None:
    """Fit all, and write the page after each case: a run that is stopped leaves what it has."""
    examples = [*references(), *HARD]
    asked = [e for e in examples if e.name in sys.argv[1:]]
    pairs: list[Pair] = []
    fits: list[str] = []
    refused: list[str] = []
    for k, example in enumerate(asked or examples):
        new, found = compared(example)
        pairs, fits = pairs + new, fits + found.lines()
        refused += [f"| {example.name} | {way} | {_in_table(why)} |" for way, why in found.refused.items()]
        print(*(p.line() for p in new), *found.lines(), sep="\n", flush=True)
        if not asked:
            PAGE.parent.mkdir(exist_ok=True)
            missing = [e.name for e in examples[k + 1 :]]
            PAGE.write_text(page(pairs, fits, refused, examples, missing), encoding="utf-8")
    if not asked:
        print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
