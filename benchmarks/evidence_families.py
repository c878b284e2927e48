"""Every family under each of its links, fitted: simulated parameters come back, and posteriors are those of brms.

`make evidence` writes docs/evidence/families.md. The truth is fixed beforehand, with 60 groups of 12 rows under
each link; the posterior has to hold it within 4 posterior standard deviations. The reference cases are fitted under
brms's priors.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PAGE = ROOT / "docs" / "evidence" / "families.md"
SEED = 4
GROUPS, ROWS = 60, 12

# Family, links, parameters beside the mean, (Intercept, x, sd of groups); thresholds stand in place of the intercept
TRUTH: list[tuple[str, tuple[str, ...], dict[str, Any], tuple[float, ...]]] = [
    ("gaussian", ("identity", "log", "softplus"), {"sigma": 0.8}, (0.5, 0.4, 0.6)),
    ("student_t", ("identity", "log", "softplus"), {"sigma": 0.8, "nu": 4.0}, (1.0, 0.5, 0.7)),
    ("skew_normal", ("identity", "log"), {"sigma": 0.8, "alpha": 4.0}, (0.5, 0.4, 0.6)),
    ("exgaussian", ("identity", "log"), {"sigma": 0.4, "tau": 0.9}, (0.5, 0.4, 0.6)),
    ("asymmetric_laplace", ("identity",), {"sigma": 0.3, "quantile": 0.5}, (0.5, 0.4, 0.6)),
    ("lognormal", ("identity",), {"sigma": 0.8}, (0.5, 0.4, 0.6)),
    ("shifted_lognormal", ("identity",), {"sigma": 0.5, "ndt": 0.3}, (0.5, 0.4, 0.6)),
    ("gamma", ("log", "softplus"), {"shape": 2.5}, (0.5, 0.4, 0.6)),
    ("gamma", ("identity",), {"shape": 4.0}, (5.0, 0.4, 0.5)),
    ("gamma", ("inverse",), {"shape": 4.0}, (2.0, 0.15, 0.2)),
    ("inverse_gaussian", ("log", "softplus"), {"shape": 3.0}, (0.5, 0.4, 0.6)),
    ("inverse_gaussian", ("identity",), {"shape": 30.0}, (5.0, 0.4, 0.5)),
    ("inverse_gaussian", ("1/mu^2", "inverse"), {"shape": 3.0}, (2.0, 0.15, 0.2)),
    ("exponential", ("log",), {}, (0.5, 0.4, 0.6)),
    ("weibull", ("log",), {"shape": 1.6}, (0.5, 0.4, 0.6)),
    ("beta", ("logit", "probit", "cloglog", "loglog", "cauchit"), {"phi": 8.0}, (-0.3, 0.4, 0.6)),
    ("bernoulli", ("logit", "probit", "cloglog", "loglog", "cauchit"), {}, (-0.3, 0.4, 0.6)),
    ("binomial", ("logit", "probit", "cloglog", "loglog", "cauchit"), {}, (-0.3, 0.4, 0.6)),
    ("beta_binomial", ("logit", "probit", "cloglog", "loglog", "cauchit"), {"phi": 5.0}, (-0.3, 0.4, 0.6)),
    ("poisson", ("log", "softplus"), {}, (0.5, 0.4, 0.6)),
    ("poisson", ("identity", "sqrt"), {}, (5.0, 0.4, 0.5)),
    ("negbinomial", ("log", "softplus"), {"shape": 2.5}, (0.5, 0.4, 0.6)),
    ("negbinomial", ("identity", "sqrt"), {"shape": 4.0}, (5.0, 0.4, 0.5)),
    ("geometric", ("log",), {}, (0.5, 0.4, 0.6)),
    ("zero_inflated_poisson", ("log",), {"zi": 0.3}, (0.5, 0.4, 0.6)),
    ("zero_inflated_negbinomial", ("log",), {"shape": 2.5, "zi": 0.3}, (1.0, 0.4, 0.6)),
    ("zero_inflated_binomial", ("logit",), {"zi": 0.3}, (-0.3, 0.4, 0.6)),
    ("zero_inflated_beta", ("logit",), {"phi": 8.0, "zi": 0.3}, (-0.3, 0.4, 0.6)),
    ("zero_one_inflated_beta", ("logit",), {"phi": 8.0, "zoi": 0.3, "coi": 0.4}, (-0.3, 0.4, 0.6)),
    ("hurdle_poisson", ("log",), {"hu": 0.4}, (0.5, 0.4, 0.6)),
    ("hurdle_negbinomial", ("log",), {"shape": 2.5, "hu": 0.4}, (0.5, 0.4, 0.6)),
    ("hurdle_gamma", ("log",), {"shape": 2.5, "hu": 0.4}, (0.5, 0.4, 0.6)),
    ("hurdle_lognormal", ("identity",), {"sigma": 0.8, "hu": 0.4}, (0.5, 0.4, 0.6)),
    ("cumulative", ("logit", "probit", "cloglog", "loglog", "cauchit"), {"thresholds": [-1.0, 0.2, 1.3]}, (0.5, 0.7)),
    ("sequential", ("logit", "probit", "cloglog"), {"thresholds": [-1.0, 0.2, 0.1]}, (0.5, 0.7)),
    ("adjacent", ("logit",), {"thresholds": [-1.0, 0.2, 0.1]}, (0.5, 0.7)),
]


def _simulated(family: str, link: str, aux: dict[str, Any], truth: tuple[float, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    g = np.repeat(np.arange(GROUPS), ROWS)
    x, n = rng.normal(size=len(g)), rng.integers(5, 15, len(g)).astype(float)
    eta = sum(truth[:-2]) + truth[-2] * x + truth[-1] * rng.standard_normal(GROUPS)[g]
    trials = n if FAMILIES[family].support.counts_trials else None  # type: ignore[union-attr]
    p = values_at(LINKS[link], eta, {name: np.array(value) for name, value in aux.items()})
    y = FAMILIES[family].simulate(rng, p, Outcome(trials=trials))  # type: ignore[misc]
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{k}" for k in g], "n": n})


def _fit(formula: str, data: pd.DataFrame, family: str, link: str, priors: Any = None) -> bm.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        model = bm.GLMM(formula, data, family=family, link=link, priors=priors)
        return model.fit(draws=1000, random_seed=SEED, sampler="independent", progressbar=False)


def _recovered(family: str, link: str, aux: dict[str, Any], truth: tuple[float, ...]) -> list[str]:
    data = _simulated(family, link, aux, truth)
    lhs = "y | trials(n)" if FAMILIES[family].support.counts_trials else "y"  # type: ignore[union-attr]
    post = _fit(f"{lhs} ~ x + (1 | g)", data, family, link)
    draws = {name: post.beta.sel(coef=name).to_numpy() for name in post.design.coef}
    draws["sd of groups"] = np.sqrt(post.Sigma["g"].to_numpy()[..., 0, 0])
    for name in aux:
        draws |= _each(name, post.aux[name].to_numpy())
    rows = []
    for (name, found), true in zip(draws.items(), (*truth, *np.hstack([*aux.values(), []])), strict=True):
        if np.ptp(found) == 0.0:  # held
            continue
        apart = abs(found.mean() - true) / found.std()
        verdict = "" if apart < 4.0 else " **no**"
        rows.append(
            f"| {family} | {link} | {name} | {true:g} | {found.mean():.4g} | {found.std():.2g} | {apart:.1f}{verdict} |"
        )
    return rows


def _each(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """A parameter's draws, or those of its values by number."""
    return {name: values} if values.ndim == 2 else {f"{name}[{k + 1}]": values[..., k] for k in range(values.shape[2])}


def _of_brms() -> dict[str, dict[str, Any]]:
    import pymc as pm

    def priors(location: float, own: str) -> dict[str, Any]:
        return {
            "Intercept": pm.StudentT.dist(nu=3, mu=location, sigma=2.5),
            "beta": pm.Normal.dist(0, 2.5),
            "sd": pm.HalfStudentT.dist(nu=3, sigma=2.5),
            own: pm.Gamma.dist(alpha=0.01, beta=0.01),
        }

    found = {"n_gamma": priors(3.4, "shape"), "o_beta": priors(0.0, "phi"), "t_betabinom": priors(0.0, "phi")}
    return found | {"v_weibull": priors(3.7, "shape")}


def _inhaler() -> str:
    import pymc as pm
    import reference

    priors = {"beta": pm.Normal.dist(0, 2.5), "thresholds": pm.Normal.dist(0, 5), "sd": pm.HalfNormal.dist(2)}
    data = pd.read_csv(reference.HERE / "g_inhaler" / "data.csv", dtype={"subject": str})
    post = _fit("rating ~ treat + period + carry + (1 | subject)", data, "cumulative", "logit", priors)
    draws = {f"b_{c}": post.beta.sel(coef=c).to_numpy() for c in post.design.coef}
    return _beside("g_inhaler", post, draws | _each("b_Intercept", post.aux["thresholds"].to_numpy()))


def _as_brms(name: str, priors: dict[str, Any]) -> str:
    import reference

    case = reference.CASES[name]
    post = _fit(case.formula, reference.data(name), case.family, case.link, priors)
    draws = {f"b_{b}": post.beta.to_numpy()[..., j] for j, b in enumerate(case.beta)}
    return _beside(name, post, draws | {a: post.aux[a].to_numpy() for a in case.aux})


def _beside(name: str, post: bm.Posterior, draws: dict[str, np.ndarray]) -> str:
    """A line on these draws, and those of the only factor's effects, beside brms's summary."""
    import reference

    factor = next(iter(post.b))
    draws[f"sd_{factor}__Intercept"] = np.sqrt(post.Sigma[factor].to_numpy()[..., 0, 0])
    b = post.b[factor].to_numpy()[..., 0]
    draws |= {f"r_{factor}[{g},Intercept]": b[..., k] for k, g in enumerate(post.design.factors[factor].levels)}
    table = pd.read_csv(reference.HERE / name / "posterior_summary.csv").set_index("variable")
    apart = []
    for variable, found in draws.items():
        theirs = table.loc[variable]
        error = np.sqrt(
            found.var() / float(array_stats.ess(found, method="mean")) + theirs["sd"] ** 2 / theirs["ess_bulk"]
        )
        apart.append((abs(found.mean() - theirs["mean"]) / error, variable))
    worst, variable = max(apart)
    verdict = "" if worst < 4.0 else " **no**"
    return f"| `{name}` | {post.family.name} | {len(apart)} | {worst:.1f}{verdict} | `{variable}` |"


COUNTED = {"epil": "y ~ trt + lbase + per + (1 | subject)", "grouseticks": "TICKS ~ YEAR + cH10 + (1 | BROOD)"}


def _with_zeros() -> list[str]:
    """Lines on counts of two data sets, negative binomial and zero-inflated: which says the rows better?"""
    import arviz as az

    lines = []
    for name, formula in COUNTED.items():
        data = bm.load_dataset(name)
        posts = {f: _fit(formula, data, f, "log") for f in ("negbinomial", "zero_inflated_negbinomial")}
        for post in posts.values():
            post.log_likelihood()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = az.compare({f: post.idata for f, post in posts.items()})
        zi, response = posts["zero_inflated_negbinomial"].aux["zi"].to_numpy(), data[formula.split()[0]].to_numpy()
        for family, post in posts.items():
            line = table.loc[family]
            expected = bm.avg_predictions(post, target=bm.equals(0), groups="own")["estimate"].to_numpy()
            at = next(c for c in ("elpd_loo", "elpd") if c in table), next(c for c in ("elpd_diff",) if c in table)
            low, high = np.quantile(zi, [0.025, 0.975])
            own = f"{zi.mean():.3f} ({low:.3f} to {high:.3f})" if family.startswith("zero") else ""
            lines.append(
                f"| `{name}` | {family} | {own} | {(response == 0).mean():.3f} | {expected.mean():.3f} | "
                f"{line[at[0]]:.1f} | {line[at[1]]:.1f} ({line['dse']:.1f}) |"
            )
    return lines


def _rows(only: list[str]) -> list[str]:
    """Lines of the table, of all families or of some."""
    cases = [(family, link, *more) for family, links, *more in TRUTH for link in links]
    return [
        line for family, link, *more in cases if not only or family in only for line in _recovered(family, link, *more)
    ]


def main() -> None:
    """Fit all, and write the page; with names of families, print their lines."""
    if sys.argv[1:]:
        for family in sys.argv[1:]:
            print("\n".join(_rows([family])), flush=True)
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    lines = [
        "# Evidence: fits of each family and link recover the truth",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}, seed {SEED}. Each fit has 4 "
        "chains of 1,000 draws.",
        "",
        f"Does a fit find the parameters that made the data? The simulated data have {GROUPS} groups of {ROWS} rows, "
        "and the priors are the default ones. *sd* is the distance of the posterior mean from the truth in posterior "
        "standard deviations. It has to stay below 4. The sampler is the independent one if group effects are "
        "integrated out, and NUTS otherwise. Gaussian and student_t responses under the inverse link are left out, "
        "because chains of such fits stay in different modes.",
        "",
        "| family | link | parameter | truth | mean | posterior sd | sd |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        *_rows([]),
        "",
        "Do fits agree with brms? The reference cases are fitted under the priors of brms's fit. *MCSE* is the largest "
        "distance of a posterior mean from that of brms in Monte Carlo standard errors of both. It has to stay below "
        "4.",
        "",
        "| case | family | parameters | MCSE | of |",
        "| --- | --- | --- | --- | --- |",
        *(_as_brms(name, priors) for name, priors in _of_brms().items()),
        _inhaler(),
        "",
        "Which family fits counts with many zeros? A negative binomial and a zero-inflated one are fitted to each data "
        "set. The table shows *zi* with its 95 % interval, the share of zeros seen, the share expected given each "
        "group's effects, and leave-one-out predictive densities (`az.compare`) with their difference and its standard "
        "error.",
        "",
        "| data | family | zi | zeros | expected | elpd | difference (se) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *_with_zeros(),
    ]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
