"""Whether the draws can be trusted, and the parameters that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesmargins.convergence import MAX_RHAT, MIN_ESS_PER_CHAIN, convergence, in_sentences
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.effects_asked import Intervals
from bayesmargins.reporting.page_blocks import Block, Grid, Notice, Section, said
from bayesmargins.reporting.wording import counted, signed
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.tables import summary, table
from bayesmargins.tables.table_frames import written_parts

__all__ = ["diagnosed", "diagnostics_words", "draws_words", "grid_of", "is_ours", "sampler_section", "source_words"]

_FOUND = ("max_rhat", "worst", "min_ess", "least", "divergences", "ess", "target_accept")


def sampler_section(post: Posterior, how: Intervals) -> Section:
    """How many draws, whether chains mixed, and the parameters with their own diagnostics."""
    blocks: list[Block] = [said(draws_words(post))]
    if not post.caveat:
        found = diagnosed(post)
        trouble = in_sentences(found, *_sizes(post), _elsewhere(post))
        blocks.append(Notice((" ".join(trouble),)) if trouble else said(diagnostics_words(post), _wanted(post)))
    numbers = summary(post, **how.asked, diagnostics=not post.caveat)
    blocks.append(grid_of(table(numbers, diagnostics=not post.caveat), "Parameters of the model"))
    return Section("Sampler", "sampler", tuple(blocks))


def grid_of(written: Any, caption: str = "") -> Grid:
    """A table of the package as a block."""
    header, rows, labels, note, own = written_parts(written)
    text = [[*row[:labels], *(signed(cell) for cell in row[labels:])] for row in rows]
    head = [name if k >= labels else name or "entry" for k, name in enumerate(header)]
    return Grid(caption or own, head, text, labels, note)


def diagnosed(post: Posterior) -> Mapping[str, Any]:
    """As the fit has found it, or found here."""
    known: dict[str, Any] = {name: post.info[name] for name in _FOUND if name in post.info}
    whole = {"max_rhat", "worst", "min_ess", "least"} <= set(known)
    return known if whole else known | convergence(post.parameters, post.sample_stats)


def draws_words(post: Posterior) -> str:
    """Where the draws come from, and how many there are."""
    chains, draws = _sizes(post)
    if post.caveat:
        return f"There are {counted(chains * draws, 'draw')} ({post.kind})."
    total = f"There are {counted(chains * draws, 'posterior draw')}, {counted(chains, 'chain')} of {draws:,}"
    by = f"by the {post.info['sampler']} sampler" if "sampler" in post.info else f"from {source_words(post)}"
    return f"{total}, {by}.{_effects(post)}{_seed(post)}"


def _effects(post: Posterior) -> str:
    how, why = post.info.get("group_effects"), post.info.get("group_effects_why")
    if how is None or not post.design.factors:
        return ""
    done = "integrated out of the likelihood and drawn afterwards" if how == "integrated" else "sampled"
    return f" Group effects were {done}: {why}."


def _seed(post: Posterior) -> str:
    return f" The random seed was {post.info['random_seed']}." if "random_seed" in post.info else ""


def diagnostics_words(post: Posterior) -> str:
    """R-hat, effective sample sizes and divergences as they are, whatever they are."""
    found = diagnosed(post)
    if "max_rhat" not in found:
        text = "Whether the draws have converged is not known: r-hat takes several chains, and more than a few draws."
    else:
        text = (
            f"The largest r-hat is {found['max_rhat']:.3f} ({found['worst']}), the smallest effective sample size "
            f"{found['min_ess']:,.0f} ({found['least']})."
        )
    if "divergences" in found:
        n = found["divergences"]
        text += f" {'No draw' if not n else counted(n, 'draw')} diverged."
    return text


def _wanted(post: Posterior) -> str:
    """What these numbers should be."""
    found, (chains, _) = diagnosed(post), _sizes(post)
    if "max_rhat" not in found:
        return ""
    least = found.get("ess", MIN_ESS_PER_CHAIN * chains)
    return f" R-hat should be below {MAX_RHAT}, and the effective sample size at least {least:,}."


def _sizes(post: Posterior) -> tuple[int, int]:
    chains, draws = (post.beta.sizes[d] for d in SAMPLE_DIMS)
    return chains, draws


def source_words(post: Posterior) -> str:
    """Which software made the draws, as far as they say it."""
    source = str(post.info.get("source", ""))
    return "software that is not named" if source in ("", "draws") else source


def is_ours(post: Posterior) -> bool:
    """Whether the draws are of a fit of this package."""
    return post.origin is not None or str(post.info.get("source", "")).startswith("bayesmargins")


def _elsewhere(post: Posterior) -> str:
    """Where they ran, if not here."""
    return "" if is_ours(post) else source_words(post)
