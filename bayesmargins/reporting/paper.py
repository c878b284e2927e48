"""The methods and the results as paragraphs to paste into a paper; every number is one of the tables'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bayesmargins.posterior import Posterior
from bayesmargins.reporting.about_checks import Checked
from bayesmargins.reporting.about_data import size_words
from bayesmargins.reporting.about_model import distribution_words, groups_words, predictor_words, priors_words
from bayesmargins.reporting.about_sampler import diagnostics_words, draws_words, is_ours
from bayesmargins.reporting.about_sensitivity import Moved
from bayesmargins.reporting.effects_asked import POLICIES, Effect
from bayesmargins.reporting.page_blocks import Paragraph, Section, said
from bayesmargins.reporting.wording import counted, interval_words, listing, results_of, signed
from bayesmargins.tables import describe
from bayesmargins.validation.sensitivity import CONFLICT, WEAK
from bayesmargins.version import __version__

__all__ = ["answers", "paper_section"]


def paper_section(post: Posterior, effects: list[Effect], checked: Checked, moved: Moved) -> Section:
    """A methods paragraph and a results paragraph."""
    methods = Section("Methods", "methods", (said(" ".join(_methods(post, effects))),))
    results = Section("Results", "results", tuple(_results(post, effects, checked, moved)))
    return Section("For a paper", "paper", (), (methods, results))


def answers(post: Posterior, effects: list[Effect]) -> list[Paragraph]:
    """What the page found, a paragraph an effect, under the first policy alone."""
    found = []
    for effect in effects:
        first = next(iter(effect.results))
        text = results_of(post, effect, first)
        found.append(said(text or describe(effect.results[first])))
    return found


def _methods(post: Posterior, effects: list[Effect]) -> Iterator[str]:
    yield f"{distribution_words(post)} {predictor_words(post)}"
    yield f"The columns are those of {post.formula}{_labelled(post)}."
    if any(p.design.factors for p in post.predictors.values()):
        yield groups_words(post)
    if post.origin is not None:
        given = sorted(map(str, post.origin.given_priors()))
        chosen = (
            f"those of {listing(given)} chosen for this analysis" if given else "defaults that are scaled to the data"
        )
        yield f"The priors, {chosen}, were {priors_words(post.origin)}."
    if post.design.frame is not None:
        by = f", with bayesmargins {__version__}" if is_ours(post) else ""
        yield f"The model was fitted to {size_words(post)}{by}."
    yield draws_words(post)
    if not post.caveat:
        yield diagnostics_words(post)
    yield from _averages(post, effects)


def _labelled(post: Posterior) -> str:
    """The words for columns that have some."""
    used = [name for name in (*post.design.columns, *post.design.factors) if name in post.design.labels]
    return f" ({listing([f'{name}: {post.design.labels[name]}' for name in used])})" if used else ""


def _averages(post: Posterior, effects: list[Effect]) -> Iterator[str]:
    """How an effect was made of the draws, a policy."""
    computed = [effect for effect in effects if effect.computed]
    used = {words for effect in computed for words in effect.results}
    done = {
        POLICIES["new"]: "integrated over the distribution of new groups' effects",
        POLICIES["existing"]: "averaged over the fitted groups, each with its own effects and each counted once",
        POLICIES["zero"]: "evaluated at group effects of 0 (a group in the middle, which is no average)",
    }
    ways = [text for words, text in done.items() if words in used]
    if computed:
        averaged = "; both were averaged over the rows, and" if ways else "averaged over the rows and"
        how = f"{'; or they were '.join(ways)}{averaged}"
        yield (
            "Effects compare the same rows under two values of a column: in every draw the predictions under either "
            f"value were {how} subtracted."
        )
    yield f"We give the {_lower(interval_words(next(iter(effects[0].summaries.values()))))} of each."


def _results(post: Posterior, effects: list[Effect], checked: Checked, moved: Moved) -> Iterator[Paragraph]:
    for effect in effects:
        sentences = [results_of(post, effect, words) for words in effect.results]
        text = " ".join(filter(None, sentences)) or "; ".join(describe(ds) for ds in effect.results.values())
        yield said(text)
    closing = [*_checked(checked), *_moved(moved)]
    if closing:
        yield said(" ".join(closing))


def _checked(checked: Checked) -> Iterator[str]:
    if checked.check is None:
        return
    table = checked.check.table
    found = [_stands_out(row) for row in table[table["finding"]].to_dict("records")]
    verb = "stands" if len(found) < 2 else "stand"
    which = f"{verb} out against replicates drawn from the model{f': {listing(found)}' if found else ''}"
    yield f"{len(found) or 'None'} of {counted(len(table), 'statistic')} of the data {which}."


def _stands_out(row: Mapping[str, Any]) -> str:
    """``dispersion (1.59; 0.818 to 1.2 in 95% of replicates)``."""
    about = f" of {row['about']}" if row["about"] else ""
    of = " with new groups" if row["groups"] == "new" else ""
    seen, lower, upper = (signed(f"{row[name]:.3g}") for name in ("observed", "lower", "upper"))
    return f"{row['statistic']}{about} ({seen}; {lower} to {upper} in 95% of replicates{of})"


def _moved(moved: Moved) -> Iterator[str]:
    of = {
        title: {*table["diagnosis"]} & {CONFLICT, WEAK} for title, table in moved.items() if not isinstance(table, str)
    }
    told = [f"{title} ({', '.join(sorted(why))})" for title, why in of.items() if why]
    if of:
        yield f"Power-scaling the priors {f'moves {listing(told)}' if told else 'hardly moves these effects'}."


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"
