"""Every result of the reference cases and of made-up posteriors, by digest: does a change of the code move any bit?

    python benchmarks/same_numbers.py write before.json [cases]     # at one commit
    python benchmarks/same_numbers.py write after.json [cases]      # at another
    python benchmarks/same_numbers.py compare before.json after.json

`cases` is a part of the names of what shall be asked. A digest covers the bytes of the values, the coordinates, and
the attributes other than the version. A refusal is kept by its text. The third call prints each name that differs, and
its exit status says whether there is any.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import bayesmargins as bm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

POLICIES = ("new", "existing", "own", "zero", "sample")
MADE = [
    ("y ~ x + f + (1 | g)", "bernoulli", "logit"),
    ("y ~ x + f + (1 + x | g) + (1 | h)", "bernoulli", "cloglog"),
    ("y ~ x + f + (1 | g)", "bernoulli", "cloglog"),
    ("y ~ x + f + (1 + x | g)", "bernoulli", "probit"),
    ("k | trials(n) ~ x + f + (1 + x | g)", "binomial", "logit"),
    ("k | trials(n) ~ x + (1 | g)", "binomial", "cloglog"),
    ("k ~ x + f + offset(log(e)) + (1 | g)", "poisson", "log"),
    ("k ~ x + (1 + x | g) + (1 | h)", "negbinomial", "log"),
    ("z ~ x + f + (1 | g)", "gaussian", "identity"),
    ("e ~ x + f + (1 + x | g)", "gaussian", "log"),
]
AUX = {"gaussian": ("sigma",), "negbinomial": ("shape",)}


def made_up(formula: str, family: str, link: str, rows: int, draws: int) -> bm.Posterior:
    """Plausible random draws: what is the same for any draws is the same for these."""
    rng = np.random.default_rng([rows, draws])
    g, h = rng.integers(0, 9, rows), rng.integers(0, 4, rows)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=rows).round(3), "f": rng.choice(["a", "b", "c"], rows), "z": rng.normal(size=rows),
            "g": [f"g{i}" for i in g], "h": [f"h{i}" for i in h], "e": rng.uniform(0.5, 2, rows).round(3),
            "n": rng.integers(1, 9, rows),
        }
    )  # fmt: skip
    frame["k"] = rng.binomial(frame.n, 0.4)
    frame["y"] = (frame.k > 1).astype(int)
    design = bm.GLMM(formula, frame, family, link).design
    b, Sigma = {}, {}
    for name, factor in design.factors.items():
        q = len(factor.terms)
        root = rng.normal(size=(2, draws, q, q)) * 0.5 + np.eye(q)
        Sigma[name] = root @ np.swapaxes(root, -1, -2)
        b[name] = rng.normal(size=(2, draws, len(factor.levels), q))
    beta = rng.normal(size=(2, draws, len(design.coef))) * 0.7
    aux = {p: rng.gamma(4.0, 0.4, size=(2, draws)) for p in AUX.get(family, ())}
    return bm.from_draws(formula, frame, family=family, link=link, beta=beta, b=b, Sigma=Sigma, aux=aux)


def questions(post: bm.Posterior, rich: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Names and questions; the rich set has every policy, target and comparison."""
    columns = post.design.columns
    number = next((c for c in columns if columns[c].kind != "factor"), None)
    factor = next((c for c in columns if columns[c].kind == "factor"), None)
    variable = factor or number
    y = post.design.response.y
    targets: list[Any] = ["mean", "link", "count", *AUX.get(post.family.name, ())]
    targets += [bm.exceeds(float(np.median(y))), bm.sd(), bm.quantile(0.9), bm.quantile(0.2)]
    for groups in POLICIES:
        few = {"groups": groups, "random_seed": 1}
        for target in targets if rich else ("mean", "link"):
            more = few | {"target": target}
            yield f"avg_predictions {groups} {target}", lambda more=more: bm.avg_predictions(post, **more)
            yield f"avg_comparisons {groups} {target}", lambda more=more: bm.avg_comparisons(post, variable, **more)
            if rich:
                yield f"predictions {groups} {target}", lambda more=more: bm.predictions(post, **more)
        for comparison in ("ratio", "lift", "lnratio", "lnor", "or"):
            yield (
                f"avg_comparisons {groups} {comparison}",
                lambda c=comparison, few=few: bm.avg_comparisons(post, variable, comparison=c, **few),
            )
        if number is None:
            continue
        yield f"number {groups}", lambda few=few: bm.avg_comparisons(post, number, **few)
        for slope in ("dydx", "eyex"):
            yield f"slope {groups} {slope}", lambda s=slope, few=few: bm.avg_slopes(post, number, slope=s, **few)
        if rich:
            yield f"second {groups}", lambda few=few: bm.avg_slopes(post, number, second=number, **few)
            yield f"slopes {groups}", lambda few=few: bm.slopes(post, number, **few)
    if not rich:
        return
    yield "variance_partition", lambda: bm.variance_partition(post)
    yield "median_ratio", lambda: bm.variance_partition(post, measure="median_ratio")
    yield "marginal_coefficients", lambda: bm.marginal_coefficients(post)
    yield "exponentiated", lambda: bm.marginal_coefficients(post, exponentiate=True)
    yield "attenuation", lambda: bm.attenuation(post, variable)
    yield "heterogeneity", lambda: bm.heterogeneity(post, variable, over=next(iter(post.design.factors)), random_seed=1)
    yield "observations", lambda: bm.posterior_predictive(post, random_seed=3)
    yield "log_likelihood", lambda: post.log_likelihood()
    yield "repr", lambda: repr(post)
    yield "priors", lambda: repr(bm.GLMM(post.formula, post.design.data, post.family.name, post.link.name))


def digest(found: Any) -> str:
    """Of values, coordinates and attributes; or the text itself."""
    if not isinstance(found, xr.Dataset):
        return str(found)
    whole = hashlib.sha256()
    for name in sorted(map(str, found.variables)):
        array = found[name].to_numpy()
        whole.update(name.encode() + str(array.dtype).encode() + repr(array.shape).encode())
        whole.update(repr(array.tolist()).encode() if array.dtype.kind in "OUT" else array.tobytes())
    attrs = {k: v for k, v in found.attrs.items() if k != "bayesmargins_version"}
    return f"{whole.hexdigest()[:24]} {json.dumps(attrs, sort_keys=True, default=str)}"


def answered(ask: Callable[[], Any]) -> str:
    """The digest, or the refusal."""
    try:
        return digest(ask())
    except bm.BayesmarginsError as error:
        return f"{type(error).__name__}: {error}"


def posteriors() -> Iterator[tuple[str, Callable[[], bm.Posterior], bool]]:
    """Name, posterior, and whether every question is asked of it."""
    import reference

    for case in reference.CASES:
        yield case, lambda case=case: reference.posterior(case), True
    for size, rich in (((120, 10), True), ((3000, 400), False)):
        for model in MADE:
            yield f"{' '.join(model)} {size}", lambda model=model, size=size: made_up(*model, *size), rich


def write(path: str, cases: str = "") -> int:
    """Digest by name, kept after every posterior."""
    out: dict[str, str] = {}
    for label, make, rich in posteriors():
        if cases in label:
            out |= {f"{label}: {name}": answered(ask) for name, ask in questions(make(), rich)}
            Path(path).write_text(json.dumps(out, indent=0))
            print(label, len(out), flush=True)
    return 0


def compare(before: str, after: str) -> int:
    """Names that are in both and differ."""
    one, other = (json.loads(Path(p).read_text()) for p in (before, after))
    differ = [name for name in one if name in other and one[name] != other[name]]
    for name in differ:
        print(f"{name}\n  {one[name]}\n  {other[name]}")
    print(f"{len(differ)} of {sum(name in other for name in one)} results differ")
    return bool(differ)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit({"write": write, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
