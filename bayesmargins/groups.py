"""What is done with b: the policies of `groups=`, checked against the factors and resolved for rows, in one place."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from bayesmargins.design import Design, Factor, combinations, mixture_strata, require_columns
from bayesmargins.errors import GroupsError, PosteriorError, close_matches, listed, shown, written
from bayesmargins.group_plan import Gather, GroupPlan, Mixture
from bayesmargins.integrate.student_scales import scale_at
from bayesmargins.posterior import Posterior
from bayesmargins.predictors import block_root, joint_covariance
from bayesmargins.values import is_word, plain_value, value_list

__all__ = ["POLICIES", "Gather", "GroupPlan", "Mixture", "Policy", "plan_groups", "resolve_groups"]

POLICIES: dict[str, str] = {
    "new": "integrated over new groups",
    "existing": "averaged over the fitted groups",
    "own": "each row with its own group's b",
    "zero": "b = 0",
    "sample": "one new group drawn per label and draw",
}

_OTHER_WORDS = {
    "none": "'zero' is b = 0; 'new' integrates b out, which is what 'population-averaged' means",
    "population": "'new' is the average over new groups; 'zero' is b = 0, which is no average",
    "na": "'zero' is what re_formula=NA computed: b = 0; 'new' is the average over new groups",
    "nan": "'zero' is what re_formula=NA computed: b = 0; 'new' is the average over new groups",
    "<na>": "'zero' is what re_formula=NA computed: b = 0; 'new' is the average over new groups",
    "true": "'own' uses each row's own group",
    "false": "'zero' is b = 0; 'new' is the average over new groups",
    "0": "'zero' is b = 0; 'new' is the average over new groups",
    "marginal": "'new' is the average over new groups",
    "conditional": "'own' uses each row's own group",
    "fixed": "'zero' is b = 0",
    "random": "'own' uses each row's own group",
    "average": "'new' averages over new groups, 'existing' over the fitted ones",
}


@dataclass(frozen=True)
class Policy:
    """One policy a factor, consistent with each other."""

    by_factor: dict[str, str | tuple[Any, ...]]  # a word of `POLICIES`, or a tuple of named levels
    group_weights: str  # "equal" or "rows": how "existing" weighs the combinations of levels
    by_word: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)  # the factors under each word
    named: dict[str, tuple[Any, ...]] = field(init=False, repr=False, compare=False)  # each gives the result a dim
    combinations: int = field(init=False, repr=False, compare=False)  # of named groups; 1 without any
    active: tuple[str, ...] = field(init=False, repr=False, compare=False)  # factors whose z matters

    def __post_init__(self) -> None:
        by_word = {word: tuple([f for f, p in self.by_factor.items() if p == word]) for word in POLICIES}
        object.__setattr__(self, "by_word", by_word)
        object.__setattr__(self, "named", {f: p for f, p in self.by_factor.items() if isinstance(p, tuple)})
        object.__setattr__(self, "combinations", math.prod([len(p) for p in self.named.values()]))
        object.__setattr__(self, "active", tuple([f for f, p in self.by_factor.items() if p != "zero"]))

    def of(self, factors: Collection[str]) -> Policy:
        """The same for some of the factors."""
        if self.by_factor.keys() <= set(factors):
            return self
        return Policy({f: p for f, p in self.by_factor.items() if f in factors}, self.group_weights)


def resolve_groups(groups: Any, design: Design, group_weights: str = "equal") -> Policy:
    """The policy of every grouping factor, from one word for all or a dict that names each.

    GroupsError where a word is unknown (with the right one for another package's), a factor is left out or unknown,
    the fit has not seen a level, or a child of a new parent is not new.

    >>> import bayesmargins as bm
    >>> design = bm.GLMM("yb ~ trt + (1 | ID)", bm.load_dataset("bacteria"), family="bernoulli").design
    >>> resolve_groups("new", design).by_factor
    {'ID': 'new'}
    """
    if not (isinstance(group_weights, str) and group_weights in ("equal", "rows")):
        raise GroupsError(
            f"group_weights={shown(group_weights)}; allowed are 'equal' and 'rows', how groups='existing' counts the "
            "fitted groups. Weights of rows in an average are wts=."
        )
    if isinstance(groups, Mapping):
        policy = Policy(_factor_by_factor(groups, design), group_weights)
    else:
        if not (isinstance(groups, str) and groups in POLICIES):
            _refuse_word(groups, design)
        policy = Policy(dict.fromkeys(design.factors, str(groups)), group_weights)
        for factor in [f for f in design.factors.values() if f.members]:
            _refuse_of_members(groups, factor)
    if group_weights == "rows" and not policy.by_word["existing"]:
        raise GroupsError(
            f"group_weights='rows' weighs fitted groups, and groups={shown(groups)} averages over none: it says how "
            "groups='existing' counts them. Leave it out, or ask for 'existing'."
        )
    if isinstance(groups, Mapping):  # one word for all goes together with itself
        _check_nesting(policy, design)
    return policy


def _factor_by_factor(groups: Mapping[Any, Any], design: Design) -> dict[str, str | tuple[Any, ...]]:
    """A word or the named levels of each factor, from a dict that names every one."""
    unknown = [f for f in groups if f not in design.factors]
    absent = [f for f in design.factors if f not in groups]
    if unknown and not design.factors:
        raise GroupsError(f"groups={shown(groups)}, and {design.formula!r} has no grouping factor. Leave groups out.")
    if unknown or absent:
        said = f"names {listed(unknown)}, which is no grouping factor" if unknown else f"leaves out {listed(absent)}"
        raise GroupsError(
            f"groups={shown(groups)} {said}; a dict names every grouping factor of {design.formula!r} once: "
            f"{listed(design.factors)}.{''.join(close_matches(f, design.factors) for f in unknown)}"
        )
    return {f: _of_factor(groups[f], factor, design) for f, factor in design.factors.items()}


def _refuse_word(groups: Any, design: Design) -> NoReturn:
    known = _OTHER_WORDS.get(written(groups).lower())
    hint = f" {known[0].upper()}{known[1:]}." if known else close_matches(groups, POLICIES) or _named(groups, design)
    words = "; ".join(f"{w!r}: {meaning}" for w, meaning in POLICIES.items())
    each = f"; or a dict with one a factor, such as {dict.fromkeys(design.factors, 'new')}."
    none = ". The model has no grouping factor: leave groups out."
    raise GroupsError(
        f"groups={shown(groups)} is no policy; allowed are {words}{each if design.factors else none}{hint}"
    )


def _named(groups: Any, design: Design) -> str:
    """Levels, or a factor, where a word or a dict belongs."""
    if is_word(groups, design.factors):
        return f" {groups!r} is a grouping factor: say what is done with it, groups={{{groups!r}: 'own'}}."
    for name, factor in design.factors.items():
        levels = value_list(groups) or [plain_value(groups)]
        known = _names(factor)
        if all(_is_name(level, known) for level in levels):
            return f" Named groups say their factor: groups={{{name!r}: {shown(levels)}}}."
    return ""


def _names(factor: Factor) -> dict[Any, Any]:
    """The levels of the fit by what names them: themselves, or the text of a time or a period."""
    return {level if isinstance(level, str | int | float) else str(level): level for level in factor.levels}


def _is_name(value: Any, known: Mapping[Any, Any]) -> bool:
    """True is no name of a group 1, though they are equal."""
    alike = isinstance(value, str | int | float) and value in known
    return alike and isinstance(value, bool) == isinstance(known[value], bool | np.bool_)


def _refuse_of_members(policy: Any, factor: Factor) -> None:
    """Of rows that belong to several groups: policies that do not say which of them to put together."""
    if factor.members and not is_word(policy, ("new", "own", "sample", "zero")):
        raise GroupsError(
            f"groups={{{factor.name!r}: {shown(policy)}}}: rows belong to several groups of {factor.name!r} at a time, "
            "and which to put together that does not say. Allowed are 'new', 'own', 'sample' and 'zero'; for groups of "
            f"your choice name them in the columns {listed(factor.columns)} of newdata=, and ask for 'own'."
        )


def _of_factor(policy: Any, factor: Factor, design: Design) -> str | tuple[Any, ...]:
    _refuse_of_members(policy, factor)
    if not is_word(policy, POLICIES) and _is_name(plain_value(policy), _names(factor)):
        raise GroupsError(
            f"groups={{{factor.name!r}: {policy!r}}} names a level of {factor.name!r}; named groups are a list: "
            f"[{policy!r}]."
        )
    if isinstance(policy, set | frozenset):
        raise GroupsError(
            f"groups={{{factor.name!r}: {shown(policy)}}}; a set has no order: name the levels in a list."
        )
    named = value_list(policy)
    if named is not None:
        return _levels(named, factor)
    if not is_word(policy, POLICIES):
        _refuse_word(policy, design)
    return str(policy)


def _levels(named: list[Any], factor: Factor) -> tuple[Any, ...]:
    known = _names(factor)
    unseen = [name for name in named if not _is_name(name, known)]
    if unseen:
        raise GroupsError(
            f"groups names the levels {listed(unseen)} of {factor.name!r} that the fit has not seen."
            f"{_level_hint(unseen, factor)} It knows {listed(factor.levels)}. For any other group use "
            "'new' (integrated) or 'sample' (one draw of it)."
        )
    if len(set(named)) < len(named):
        raise GroupsError(f"groups names a level of {factor.name!r} twice: {listed(named)}. Name each once.")
    if len(named) == 0:
        raise GroupsError(f"groups={{{factor.name!r}: []}} names no level; name at least one, or use 'existing'.")
    return tuple(known[name] for name in named)


def _check_nesting(policy: Policy, design: Design) -> None:
    """A fitted child has the fitted parent's b: it cannot belong to a parent that is new."""
    for parent in design.factors.values():
        for child in design.factors.values():
            if not set(parent.columns) < set(child.columns) or child.members or parent.members:
                continue
            above, below = policy.by_factor[parent.name], policy.by_factor[child.name]
            if not _child_may(above, below, parent, child):
                raise GroupsError(
                    f"groups={{{parent.name!r}: {above!r}, {child.name!r}: {below!r}}}: {child.name!r} is nested in "
                    f"{parent.name!r}, and a fitted child belongs to its own fitted parent. A child may be newer than "
                    f"its parent, never the reverse: use the same policy for both, or 'new' for {child.name!r}."
                )


def _child_may(above: Any, below: Any, parent: Factor, child: Factor) -> bool:
    """May the child have this policy under a parent that has that one?"""
    if below in ("new", "sample", "zero") or above == "zero":
        return True
    if isinstance(above, tuple):
        if not isinstance(below, tuple) or len(above) > 1:
            return False
        own = parent.parts[parent.positions[above[0]]]
        at = [child.columns.index(column) for column in parent.columns]
        return all(tuple(child.parts[child.positions[c]][k] for k in at) == own for c in below)
    return bool(above == below and above in ("own", "existing"))


def plan_groups(
    policy: Policy,
    post: Posterior,
    frame: pd.DataFrame,
    seed: int | None,
    what: str,
    whole: Posterior | None = None,
    beside: Collection[str] = (),
) -> GroupPlan:
    """What the policy means for these rows; `seed` is that of ``"sample"``.

    `whole` is the posterior of which `post` is a linear predictor: groups that are drawn have their effects on all of
    them together. `beside` are the linear predictors of the whole that are read together: fitted levels are combined
    over the factors of all. The policy may have other factors too, whose named groups are combined with those of this
    one.
    """
    design, whole = post.design, post if whole is None else whole
    named = _named_levels(policy, post) if policy.named else ()
    mixture = _mixture(post, policy, whole, beside, frame) if policy.by_word["existing"] else None
    new, own, sampled = [[f for f in policy.by_word[w] if f in design.factors] for w in ("new", "own", "sample")]
    gathers = [g for f in own for g in _own(post, design.factors[f], frame, what)]
    for name in sampled:
        gathers += _sampled(post, design.factors[name], frame, int(seed or 0), whole)
    missing = np.zeros(len(frame), dtype=bool)
    for gather in gathers:
        missing |= gather.codes < 0
    return GroupPlan(
        integrated=tuple(new),
        gathers=tuple(gathers),
        mixture=mixture,
        missing=missing,
        named=named,
    )


def _draws_of_b(post: Posterior, factor: str) -> np.ndarray:
    if factor not in post.draws.b:
        raise PosteriorError(
            f"The posterior has no draws of b for {factor!r}; 'new' and 'zero' need none, every other policy does."
        )
    return post.draws.b[factor]


def _own(post: Posterior, factor: Factor, frame: pd.DataFrame, what: str) -> list[Gather]:
    """A look-up of each row's group, or one a member."""
    b = _draws_of_b(post, factor.name)
    require_columns(frame, factor.columns, what, f"groups='own' for {factor.name!r}")
    named = factor.labels_by_lookup(frame)
    for labels in named.values():
        _refuse_unseen(factor, labels, what)
    return [Gather(name, b, factor.positions_of(labels)) for name, labels in named.items()]


def _refuse_unseen(factor: Factor, labels: pd.Series, what: str) -> None:
    codes = factor.positions_of(labels)
    unseen = pd.unique(labels[(codes < 0) & labels.notna().to_numpy()])
    if len(unseen):
        hint = _level_hint(unseen, factor)
        raise GroupsError(
            f"groups='own' for {factor.name!r}: {what} names groups that the fit has not seen: {listed(unseen)}.{hint} "
            "Ask for 'new' (integrated over new groups), 'sample' (one draw of a new group), 'existing' or 'zero'."
        )


def _level_hint(unseen: Sequence[Any], factor: Factor) -> str:
    if {written(u) for u in unseen} & {str(level) for level in factor.levels}:
        return " The same labels are there as another type (text against numbers): convert them."
    return close_matches(unseen[0], factor.levels)


def _named_levels(policy: Policy, post: Posterior) -> tuple[Gather, ...]:
    """Named groups of the posterior's factors, one code for each combination with those of all other factors."""
    named, gathers = policy.named, []
    counts = [len(levels) for levels in named.values()]
    combined = np.indices(counts).reshape(len(named), math.prod(counts))
    for of_factor, (name, levels) in zip(combined, named.items(), strict=True):
        if name in post.design.factors:
            positions = post.design.factors[name].positions
            codes = np.array([positions[level] for level in levels], dtype=np.intp)
            gathers.append(Gather(name, _draws_of_b(post, name), codes[of_factor]))
    return tuple(gathers)


def _sampled(post: Posterior, factor: Factor, frame: pd.DataFrame, seed: int, whole: Posterior) -> list[Gather]:
    """New groups keyed by label: without the group columns all rows share one, or one a member."""
    if all(c in frame.columns for c in factor.columns):
        named = list(factor.labels_by_lookup(frame).values())
    else:
        new = [f"(new{k or ''})" for k in range(len(factor.lookups))]
        named = [pd.Series([name] * len(frame), dtype=object) for name in new]
    codes, labels = pd.factorize(pd.concat(named, ignore_index=True))
    blocks = _blocks_of_root(post, factor.name, whole)
    b = np.zeros((len(post.draws.beta), len(labels), len(factor.terms)))
    for key, root in blocks.items():
        for j, label in enumerate(labels):
            z = _keyed_normal(seed, key, label, (len(root), root.shape[2]))
            b[:, j] += np.einsum("spq,sq->sp", root, z)
    for j, label in enumerate(labels) if factor.student else ():
        x = _keyed_normal(seed, f"scale of {factor.name}", label, (len(b), 1))
        b[:, j] *= np.sqrt(scale_at(post.draws.aux[factor.df][:, None], x))
    each = codes.astype(np.intp).reshape(len(named), len(frame))
    return [Gather(name, b, own) for name, own in zip(factor.lookups, each, strict=True)]


def _blocks_of_root(post: Posterior, factor: str, whole: Posterior) -> dict[str, np.ndarray]:
    """What b is of the standard normal numbers of each linear predictor, by the key that these are drawn with.

    Where effects on several are correlated, b of one depends on the numbers of those before it: the draws for each
    stay what they are without the others.
    """
    key = f"{post.family.name} of {factor}" if post.is_part else factor
    if factor not in whole.across:
        return {key: block_root(post.draws.Sigma[factor], [len(post.design.factors[factor].terms)])}
    names = [name for name, p in whole.predictors.items() if factor in p.design.factors]
    here = next(k for k, name in enumerate(names) if whole.predictors[name] is post)
    sizes = [len(whole.predictors[name].design.factors[factor].terms) for name in names]
    root = block_root(joint_covariance(whole, factor, names), sizes)
    ends = np.cumsum([0, *sizes])
    rows = root[:, ends[here] : ends[here + 1]]
    keys = [factor if name == whole.first else f"{name} of {factor}" for name in names[: here + 1]]
    return {k: rows[:, :, a:b] for k, (a, b) in zip(keys, pairwise(ends.tolist()), strict=False)}


def _keyed_normal(seed: int, key: str, label: Any, shape: tuple[int, int]) -> np.ndarray:
    """Standard normal numbers that depend on (seed, parameter, factor, label, draw) and on nothing else."""
    label = int(label) if isinstance(label, float) and label.is_integer() else label
    digest = hashlib.blake2b(f"{seed}|{key}|{label}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little"))).standard_normal(shape)


def _mixture(
    post: Posterior, policy: Policy, whole: Posterior, beside: Collection[str], frame: pd.DataFrame
) -> Mixture | None:
    """Combinations of the fitted levels of all factors that are read together, for those of this linear predictor."""
    designs = [whole.predictors[name].design for name in beside] or [post.design]
    factors = {name: factor for design in designs for name, factor in design.factors.items()}
    names = policy.of(factors).by_word["existing"]
    own = tuple([name for name in names if name in post.design.factors])
    for name in own:
        _draws_of_b(post, name)
    if not own:
        return None
    if post.design.frame is None and (len(names) > 1 or policy.group_weights == "rows"):
        raise GroupsError(
            f"groups='existing' of {listed(names)} with group_weights={policy.group_weights!r} asks which groups occur "
            "together, or how often, and the posterior has no rows: it was made with levels= in place of data=. Equal "
            "weights over the groups of one factor can be asked for."
        )
    seen = np.column_stack([factors[f].codes for f in names])
    codes, counts = combinations(seen)
    weights = counts / counts.sum() if policy.group_weights == "rows" else np.full(len(codes), 1.0 / len(codes))
    strata = mixture_strata([factors[name] for name in names], codes, frame)
    return Mixture(own, codes[:, [names.index(name) for name in own]], weights, strata)
