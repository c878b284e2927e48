"""Words of other software for what a model and its fit take, and what stands for each here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bayesmargins.errors import shown
from bayesmargins.family import FAMILIES
from bayesmargins.habits import Words

__all__ = ["WORDS"]

_RENAMED = {
    "adapt_delta": "target_accept",
    "target_accept_prob": "target_accept",
    "warmup": "tune",
    "num_warmup": "tune",
    "n_tune": "tune",
    "burnin": "tune",
    "num_samples": "draws",
    "samples": "draws",
    "n_draws": "draws",
    "num_chains": "chains",
    "n_chains": "chains",
    "nchains": "chains",
    "seed": "random_seed",
    "random_state": "random_seed",
    "progress": "progressbar",
    "progress_bar": "progressbar",
    "verbose": "progressbar",
}
_OWN = (
    *("draws", "tune", "chains", "random_seed", "sampler", "progressbar", "target_accept", "ess", "max_draws"),
    *("group_effects", "parametrisation"),
)
_SAMPLERS = "The sampler is model.fit(sampler='nutpie'), 'pymc', 'numpyro' or 'independent'."
_LIKELIHOOD = (
    "Weights of the likelihood stand in the formula, 'y | weights(w) ~ x'; averages have others, "
    "avg_predictions(post, wts='w')."
)
_PREDICTED = dict.fromkeys(name for family in FAMILIES.values() for name in family.predictable)
_CONTRASTS = "Factors have treatment contrasts, against their first level: order the levels in the data."


def _in_fit(word: str) -> Callable[[Any], str]:
    return lambda value: f"Here it is model.fit({word}={shown(value)})."


def _always(sentence: str) -> Callable[[Any], str]:
    return lambda _: sentence


def _own_formula(name: str) -> Callable[[Any], str]:
    """Of a parameter."""

    def said(value: Any) -> str:
        written = shown(value) if isinstance(value, str) and value.lstrip().startswith("~") else "'~ x'"
        return f"Formulas of parameters are a dict here: GLMM({{'y': 'y ~ x', {name!r}: {written}}}, data)."

    return said


def _control(value: Any) -> str:
    given = value if isinstance(value, Mapping) else {}
    known = {_RENAMED[k]: v for k, v in given.items() if isinstance(k, str) and k in _RENAMED}
    inside = ", ".join(f"{k}={shown(v)}" for k, v in known.items()) or "target_accept=0.95"
    return f"Settings of the sampler are arguments of their own: model.fit({inside})."


WORDS: Words = {
    **{name: _own_formula(name) for name in _PREDICTED},
    **{"dispformula": _own_formula("sigma"), "ziformula": _own_formula("zi")},
    **{word: _in_fit(word) for word in _OWN},
    **{theirs: _in_fit(ours) for theirs, ours in _RENAMED.items()},
    **dict.fromkeys(("backend", "nuts_sampler", "inference_method", "algorithm"), _always(_SAMPLERS)),
    **dict.fromkeys(("weights", "weight", "wts"), _always(_LIKELIHOOD)),
    **dict.fromkeys(("contrasts", "contr"), _always(_CONTRASTS)),
    "control": _control,
    "cores": _always("It is decided by the sampler: nutpie runs as many chains at once as there are cores."),
    "iter": _always("Here it is model.fit(draws=..., tune=...): draws are kept, tune are discarded."),
    "prior": _always("Here it is called 'priors': GLMM(..., priors={'beta': pm.Normal.dist(0, 2.5)})."),
    "sample_prior": _always("Here it is model.prior(draws=...), a Posterior of draws of the prior."),
    "offset": _always("An offset is a term of the formula: 'y ~ x + offset(log(exposure)) + (1 | site)'."),
    "trials": _always("Trials stand in the formula: 'successes | trials(n) ~ x + (1 | site)'."),
    "group": _always("Groups stand in the formula: 'y ~ x + (1 | site)'."),
    "groups": _always(
        "Groups stand in the formula: 'y ~ x + (1 | site)'; what is done with them is part of a question."
    ),
}
