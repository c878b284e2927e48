"""The code that makes the numbers of a page again, and the versions that it ran with."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from bayesmargins.datasets import load_dataset
from bayesmargins.datasets.catalogue import CATALOGUE
from bayesmargins.model import GLMM
from bayesmargins.model.retold import CALL, prior_in_code
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.about_sampler import is_ours, source_words
from bayesmargins.reporting.effects_asked import POLICIES, Effect, Intervals
from bayesmargins.reporting.page_blocks import Block, Grid, Listing, Section, said
from bayesmargins.reporting.wording import counted
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.version import __version__

__all__ = ["code_section", "versions_section"]

_PACKAGES = ("pymc", "pytensor", "nutpie", "arviz-base", "arviz-stats", "numpy", "scipy", "pandas", "xarray")
_LONGEST = 30  # levels that are written out


def code_section(post: Posterior, effects: list[Effect], how: Intervals, data: str | None) -> Section:
    """From the data to the tables of effects."""
    lines = [*_imports(post, data), "", *_data(post, data), *_fit(post), "", *_effects(effects, how)]
    blocks: list[Block] = [said("The code below makes the numbers of this page again.")]
    unsaid = [*_unsaid(post, effects, data)]
    if unsaid:
        blocks = [
            said(f"The code below makes the numbers of this page again, once you have filled in {'; '.join(unsaid)}.")
        ]
    return Section("Code", "code", (*blocks, Listing("\n".join(lines), "python", "Code of this report")))


def versions_section(post: Posterior) -> Section:
    """What the draws and the page were made with."""
    found = [("bayesmargins", __version__), ("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    rows = [[name, version] for name, version in found]
    note = "" if is_ours(post) else f"The draws come from {source_words(post)}, whose version they do not say."
    blocks: list[Block] = [Grid("Software that made this page", ["package", "version"], rows, words=True, note=note)]
    return Section("Versions", "versions", tuple(blocks))


def _unsaid(post: Posterior, effects: list[Effect], data: str | None) -> Iterator[str]:
    """What no code can know."""
    if post.origin is None:
        yield "how the draws were made"
        return
    if data is None and _shipped(post) is None:
        yield "how the data are read"
    if any(prior_in_code(prior) is None for prior in post.origin.given_priors().values()):
        yield "the priors that are left out"
    if any(not effect.computed for effect in effects):
        yield "the results that were handed over"


def _imports(post: Posterior, data: str | None) -> Iterator[str]:
    priors = {} if post.origin is None else post.origin.given_priors()
    if any((prior_in_code(prior) or "").startswith("pm.") for prior in priors.values()):
        yield "import pymc as pm"
    if "pd." in (data or ""):
        yield "import pandas as pd"
    yield "import bayesmargins as bm"


def _data(post: Posterior, data: str | None) -> Iterator[str]:
    code = data or _shipped(post)
    if post.origin is None:
        return
    if code is not None:
        yield f"data = {code}"
        return
    design = post.design
    columns = ", ".join(map(repr, design.data))
    yield f"data = ...  # a DataFrame of {counted(len(design.data), 'row')}, with the columns {columns}"
    for name, column in design.columns.items():
        if column.kind == "factor":
            levels = ", ".join(map(repr, column.levels[:_LONGEST]))
            yield f"# levels of {name!r}, in this order: {levels}{', ...' if len(column.levels) > _LONGEST else ''}"


def _shipped(post: Posterior) -> str | None:
    """The data set of this package that the rows are, to the last value."""
    frame = post.design.frame
    if frame is None:
        return None
    for name, entry in CATALOGUE.items():
        if entry.rows == len(frame) and set(frame.columns) <= {*entry.columns, *entry.derived}:
            whole = load_dataset(name)
            if whole[list(frame.columns)].reset_index(drop=True).equals(frame.reset_index(drop=True)):
                return f"bm.load_dataset({name!r})"
    return None


def _fit(post: Posterior) -> Iterator[str]:
    if post.origin is None:
        yield f"post = ...  # draws of {post.formula!r}: {post.info.get('source', 'draws')}"
        return
    yield "model = bm.GLMM("
    yield from _written(post.origin.formula)
    yield "    data,"
    yield f"    family={post.family.name!r},"
    links = {name: p.link.name for name, p in post.predictors.items()}
    yield f"    link={links if post.parts and post.family.shares is None else post.link.name!r},"
    yield from _priors(post)
    yield ")"
    yield f"post = model.fit({', '.join(f'{name}={value!r}' for name, value in _call(post).items())})"


def _written(formula: Any) -> Iterator[str]:
    """One formula, or the dict of them."""
    if not isinstance(formula, dict):
        yield f"    {formula!r},"
        return
    yield "    {"
    yield from (f"        {name!r}: {text!r}," for name, text in formula.items())
    yield "    },"


def _priors(post: Posterior) -> Iterator[str]:
    given = post.origin.given_priors()
    if not given:
        return
    yield "    priors={"
    for name, prior in given.items():
        code = prior_in_code(prior)
        yield f"        {name!r}: {code}," if code is not None else f"        # {name!r}: a prior of your own,"
    yield "    },"


def _call(post: Posterior) -> dict[str, Any]:
    """Arguments of the fit that are not its defaults, the sampler and the seed among them."""
    asked = post.info.get(CALL)
    if not isinstance(asked, dict):
        chains, draws = (post.beta.sizes[d] for d in SAMPLE_DIMS)
        asked = {"draws": draws, "chains": chains, "ess": None, "sampler": post.info.get("sampler")}
    usual = {name: p.default for name, p in inspect.signature(GLMM.fit).parameters.items()}
    told = {name: value for name, value in asked.items() if name not in usual or value != usual[name]}
    return told | {"random_seed": post.info.get("random_seed")}


def _effects(effects: list[Effect], how: Intervals) -> Iterator[str]:
    summarised = "".join(f", {name}={value!r}" for name, value in how.asked.items())
    groups = {words: policy for policy, words in POLICIES.items()}
    for k, effect in enumerate(effects, 1):
        yield f"# {effect.title}".replace("\n", " ")
        if not effect.computed:
            estimand = str(next(iter(effect.summaries.values())).attrs.get("estimand", "a result"))
            yield f"# {estimand}".replace("\n", " ")
            continue
        comparing = any(str(c).startswith("p_gt_") for c in next(iter(effect.summaries.values())).columns)
        function = "avg_comparisons" if comparing else "avg_predictions"
        variable = f", {effect.variable!r}" if effect.variable is not None else ""
        yield f"effect_{k} = {{"
        for words in effect.results:
            of = f", groups={groups[words]!r}" if words in groups else ""
            yield f"    {words!r}: bm.{function}(post{variable}{of}),"
        yield "}"
        yield f"print(bm.table(effect_{k}{', null=0' if comparing else ''}{summarised}))"
