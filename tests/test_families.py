"""Laws that every family obeys under each of its links, and what happens to a family that does not say everything."""

from __future__ import annotations

import copy
import pickle
import re
import types
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import scipy
from interpreted import interpreted
from scipy import integrate, stats

import bayesmargins as bm
from bayesmargins.family import (
    FAMILIES,
    LINKS,
    Family,
    Link,
    Outcome,
    Parameter,
    Support,
    Values,
    get_family,
    parameter_family,
    values_at,
)
from bayesmargins.family.mixture_of_y import Mixture, mixture

SIMULATED = 1_000_000
FAR = 6.0  # standard errors; with 300 numbers held against simulated ones this is never reached by chance


@dataclass(frozen=True)
class Case:
    """Where the laws of a family are looked at: parameters beside the mean, trials, linear predictors, values of y."""

    aux: dict[str, float] = field(default_factory=dict)
    trials: float | None = None
    etas: tuple[float, ...] = (-1.2, 0.4)
    c: float = 1.0
    span: tuple[float, float] = (-np.inf, np.inf)  # of a continuous y
    most: int = 0  # of a discrete y: beyond lies nothing that counts
    s: float = 0.7  # of the group effects
    atoms: tuple[float, ...] = ()  # single values of a y that is otherwise continuous


CASES = {
    "gaussian": Case({"sigma": 1.3}),
    "lognormal": Case({"sigma": 0.6}, c=1.4, span=(0.0, np.inf)),
    "bernoulli": Case(c=0.0, most=1),
    "binomial": Case(trials=7.0, c=3.0, most=7),
    "poisson": Case(c=2.0, most=60),
    "negbinomial": Case({"shape": 1.7}, c=2.0, most=400),
    "gamma": Case({"shape": 2.3}, etas=(2.5, 3.2), c=6.0, span=(0.0, np.inf), s=0.15),
    "beta": Case({"phi": 6.0}, c=0.4, span=(0.0, 1.0)),
    "student_t": Case({"sigma": 1.3, "nu": 11.0}),
    "beta_binomial": Case({"phi": 3.0}, trials=7.0, c=3.0, most=7),
    "exponential": Case(c=1.4, span=(0.0, np.inf)),
    "weibull": Case({"shape": 1.6}, c=1.4, span=(0.0, np.inf)),
    "geometric": Case(c=2.0, most=400),
    "shifted_lognormal": Case({"sigma": 0.6, "ndt": 0.3}, c=1.4, span=(0.3, np.inf)),
    "exgaussian": Case({"sigma": 0.8, "tau": 1.3}),
    "skew_normal": Case({"sigma": 1.3, "alpha": -3.0}),
    "asymmetric_laplace": Case({"sigma": 0.5, "quantile": 0.3}),
    "inverse_gaussian": Case({"shape": 1.8}, c=1.4, span=(0.0, np.inf), s=0.4),
    "zero_inflated_poisson": Case({"zi": 0.3}, c=2.0, most=60),
    "zero_inflated_negbinomial": Case({"shape": 1.7, "zi": 0.3}, c=2.0, most=400),
    "zero_inflated_binomial": Case({"zi": 0.3}, trials=7.0, c=3.0, most=7),
    "zero_inflated_beta": Case({"phi": 6.0, "zi": 0.3}, c=0.4, span=(0.0, 1.0), atoms=(0.0,)),
    "zero_one_inflated_beta": Case({"phi": 6.0, "zoi": 0.4, "coi": 0.3}, c=0.4, span=(0.0, 1.0), atoms=(0.0, 1.0)),
    "ordered_beta": Case({"phi": 6.0, "cutzero": -1.4, "cutone": 0.9}, c=0.4, span=(0.0, 1.0), atoms=(0.0, 1.0)),
    "hurdle_poisson": Case({"hu": 0.25}, c=2.0, most=60),
    "hurdle_negbinomial": Case({"shape": 0.8, "hu": 0.25}, c=2.0, most=800),
    "hurdle_gamma": Case({"shape": 2.3, "hu": 0.25}, c=2.0, span=(0.0, np.inf), atoms=(0.0,)),
    "hurdle_lognormal": Case({"sigma": 0.6, "hu": 0.25}, c=1.4, span=(0.0, np.inf), atoms=(0.0,)),
}
OTHERWISE = {  # under some links
    ("inverse_gaussian", "inverse"): Case({"shape": 1.8}, etas=(0.3, 0.5), c=2.5, span=(0.0, np.inf), s=0.03),
    ("inverse_gaussian", "1/mu^2"): Case({"shape": 1.8}, etas=(1.0, 1.6), c=1.0, span=(0.0, np.inf), s=0.1),
    ("inverse_gaussian", "identity"): Case({"shape": 1.8}, etas=(2.5, 3.2), c=2.5, span=(0.0, np.inf), s=0.15),
    ("gamma", "inverse"): Case({"shape": 2.3}, etas=(0.3, 0.5), c=2.5, span=(0.0, np.inf), s=0.03),
    ("gaussian", "inverse"): Case({"sigma": 1.3}, etas=(0.8, 1.6), s=0.1),
    ("student_t", "inverse"): Case({"sigma": 1.3, "nu": 11.0}, etas=(0.8, 1.6), s=0.1),
    ("poisson", "identity"): Case(c=2.0, most=60, etas=(2.5, 3.2), s=0.15),
    ("negbinomial", "identity"): Case({"shape": 1.7}, c=2.0, most=400, etas=(2.5, 3.2), s=0.15),
    ("zero_inflated_poisson", "identity"): Case({"zi": 0.3}, c=2.0, most=60, etas=(2.5, 3.2), s=0.15),
    ("zero_inflated_negbinomial", "identity"): Case(
        {"shape": 1.7, "zi": 0.3}, c=2.0, most=400, etas=(2.5, 3.2), s=0.15
    ),
    ("hurdle_gamma", "identity"): Case(
        {"shape": 2.3, "hu": 0.25}, etas=(2.5, 3.2), c=2.0, span=(0.0, np.inf), s=0.15, atoms=(0.0,)
    ),
    ("hurdle_gamma", "inverse"): Case(
        {"shape": 2.3, "hu": 0.25}, etas=(0.3, 0.5), c=2.5, span=(0.0, np.inf), s=0.03, atoms=(0.0,)
    ),
}
# tests/test_ordered_families.py and tests/test_choices.py have their laws: categories have neither tails nor a mean
CATEGORIES = {"adjacent", "cumulative", "sequential", "categorical", "multinomial"}
PAIRS = [(family, link) for family in sorted(CASES) for link in FAMILIES[family].links]


def marked(family: str, link: str) -> Any:
    """Zeros are mixed in alike under every link of a family: `make test` looks at the first."""
    repeats = ("zero" in family or "hurdle" in family) and link != FAMILIES[family].links[0]
    return pytest.param((family, link), marks=[pytest.mark.evidence] if repeats else [], id=f"{family}-{link}")


def test_every_family_has_a_case() -> None:
    """A family that stands in no list would pass every law below."""
    assert {name for name, family in FAMILIES.items() if family.categories} == CATEGORIES
    assert set(CASES) == set(FAMILIES) - CATEGORIES
    for name, case in CASES.items():
        assert tuple(case.aux) == FAMILIES[name].aux


def test_copies_are_the_one_object_of_their_name() -> None:
    for thing in (*FAMILIES.values(), *LINKS.values()):
        assert pickle.loads(pickle.dumps(thing)) is thing
        assert copy.deepcopy(thing) is thing
    assert pickle.loads(pickle.dumps(parameter_family("sigma"))).noun == "parameter sigma"


@pytest.mark.parametrize(
    ("word", "here"),
    [("student", "student_t"), ("t", "student_t"), ("Gamma", "gamma"), ("Beta", "beta"), ("somehow", "")],
)
def test_names_of_other_packages_are_answered_with_the_name_here(word: str, here: str) -> None:
    with pytest.raises(bm.ModelError) as caught:
        get_family(word)
    assert str(caught.value).endswith(f"Here it is called {here!r}." if here else f"{[*FAMILIES][-1]}.")


def values(family: Family, link: Link, eta: Any, case: Case) -> Values:
    """The parameters at some linear predictors."""
    return values_at(link, eta, case.aux)


def over_groups(family: Family, link: Link, case: Case, s: float, eta: float) -> Mixture:
    """y over normal groups at one linear predictor."""
    aux = {name: np.array([value]) for name, value in case.aux.items()}
    trials = np.array([1.0 if case.trials is None else case.trials])
    return mixture(family, link, np.array([[eta]]), np.ones(1), np.array([s]), aux, trials)


def simulated(family: Family, link: Link, case: Case, s: float, eta: float) -> np.ndarray:
    """y of one row in each of many groups."""
    rng = np.random.default_rng([11, int(10 * s), int(10 * abs(eta))])
    p = values(family, link, eta + s * rng.standard_normal(SIMULATED), case)
    return np.asarray(family.simulate(rng, p, Outcome(trials=case.trials and np.array(case.trials))))


@pytest.fixture(params=[marked(*pair) for pair in PAIRS])
def pair(request: pytest.FixtureRequest) -> tuple[Family, Link, Case]:
    family, link = request.param
    return FAMILIES[family], LINKS[link], OTHERWISE.get((family, link), CASES[family])


def test_density_is_a_distribution(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    for eta in case.etas:
        p = values(family, link, np.array(eta), case)

        def density(y: Any, p: Values = p) -> Any:
            return np.exp(family.log_density(p, Outcome(np.asarray(y, dtype=float), case.trials)))

        if family.discrete:
            total = density(np.arange(case.most + 1)).sum()
        else:
            total = integrate.quad(density, *case.span, epsabs=1e-13, limit=400)[0] + sum(map(density, case.atoms))
        assert total == pytest.approx(1.0, abs=1e-10)


def test_simulated_mean_and_variance_are_those_of_the_family(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    n = case.trials or 1.0
    for eta in case.etas:
        y = simulated(family, link, case, 0.0, eta)
        p, curve = values(family, link, np.array(eta), case), family.curve(link)
        mu = float(curve.link.inverse(curve.of(np.array(eta), p)))
        variance = float(sum(v * mu**k for k, v in enumerate(family.variance(p, Outcome(trials=np.array(n))))))
        mean = n * float(curve.scaled(mu, p) + curve.beside(p))
        first, second = (0.0, 0.0) if family.rest is None else map(float, family.rest(p))
        mean, variance = mean + first, variance + second - (2.0 * mean + first) * first
        assert abs(y.mean() - mean) < FAR * np.sqrt(variance / SIMULATED)
        of_squares = np.var((y - mean) ** 2)
        assert abs(np.mean((y - mean) ** 2) - variance) < FAR * np.sqrt(of_squares / SIMULATED)


def test_draws_have_the_distribution(pair: tuple[Family, Link, Case]) -> None:
    """By Kolmogorov's test against P(y <= c), or the chi-squared test of counts against the density; fixed seeds."""
    family, link, case = pair
    p = values(family, link, np.full(20_000, case.etas[0]), case)
    y = np.asarray(family.simulate(np.random.default_rng(7), p, Outcome(trials=case.trials and np.array(case.trials))))
    one = values(family, link, np.array(case.etas[0]), case)
    if not family.discrete:
        at = {atom: float(np.exp(family.log_density(one, Outcome(np.array(atom))))) for atom in case.atoms}
        for atom, chance in at.items():
            assert stats.binomtest(int((y == atom).sum()), len(y), chance).pvalue > 1e-4
        y, rest = y[~np.isin(y, case.atoms)], 1.0 - sum(at.values())
        assert stats.kstest(y, lambda c: (family.below(c, one, Outcome()) - at.get(0.0, 0.0)) / rest).pvalue > 1e-4
        return
    k = np.arange(case.most + 1.0)
    expected = len(y) * np.exp(family.log_density(one, Outcome(k, case.trials)))
    seen = np.bincount(y.astype(int), minlength=len(k))[: len(k)]
    often = expected >= 10.0
    apart = (seen - expected)[often]
    rest = len(y) - expected[often].sum()
    statistic = (apart**2 / expected[often]).sum() + (apart.sum() ** 2 / rest if rest > 10.0 else 0.0)
    assert stats.chi2.sf(statistic, often.sum() - (rest <= 10.0)) > 1e-4


def test_tails_are_those_of_the_density_and_sum_to_one(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    o = Outcome(trials=case.trials)
    for eta in case.etas:
        p = values(family, link, np.array(eta), case)
        above, below = (float(tail(np.array(case.c), p, o)) for tail in (family.above, family.below))
        assert above + below == pytest.approx(1.0, abs=1e-14)
        if family.discrete:
            y = np.arange(np.floor(case.c) + 1, case.most + 1)
            wanted = float(np.exp(family.log_density(p, replace(o, y=y))).sum())
        else:
            wanted = integrate.quad(
                lambda y, p=p: np.exp(family.log_density(p, Outcome(np.asarray(y)))), case.c, case.span[1]
            )[0] + sum(np.exp(family.log_density(p, Outcome(np.array(a)))) for a in case.atoms if a > case.c)
        assert above == pytest.approx(wanted, rel=1e-8)


def test_quantile_inverts_the_lower_tail(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    o = Outcome(trials=case.trials)
    for eta in case.etas:
        p = values(family, link, np.array(eta), case)
        for q in (0.03, 0.4, 0.9):
            found = over_groups(family, link, case, 0.0, eta).quantile(q).value[0]
            reached = float(family.below(np.array(found), p, o))
            if family.discrete:
                assert float(family.below(np.array(found - 1.0), p, o)) < q <= reached
            elif found in case.atoms:
                assert reached - float(np.exp(family.log_density(p, Outcome(np.array(found))))) < q <= reached
            else:
                assert reached == pytest.approx(q, rel=1e-10)


def test_likelihood_of_pymc_is_the_log_density(pair: tuple[Family, Link, Case]) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    from bayesmargins.model.build import tensor_means

    family, link, case = pair
    etas = np.repeat([eta for eta in (-3.0, *case.etas, 2.0) if link.inverse(eta) > family.mean_above], 20)
    rng = np.random.default_rng(4)
    p = values(family, link, etas, case)
    trials = None if case.trials is None else np.full(len(etas), case.trials)
    o = Outcome(trials=trials)
    o = replace(o, y=np.asarray(family.simulate(rng, p, o), dtype=float))
    aux = {name: pt.as_tensor(np.float64(value)) for name, value in case.aux.items()}  # a bare 1.3 becomes a float32
    with pm.Model(coords={"obs": np.arange(len(etas))}) as model:
        eta = pt.as_tensor(etas)
        family.pymc(pm, "y", Values(**tensor_means(link, eta), eta=eta, link=link, **aux), o)
    found = model.logp(sum=False)[0].eval(mode=interpreted())
    np.testing.assert_allclose(found, family.log_density(p, o), rtol=1e-9, atol=1e-11)


COUNTED = [(name, link) for name in ("bernoulli", "binomial") for link in FAMILIES[name].links]
TAILS = {
    "logit": lambda x: 1 / (1 + mp.exp(-x)),
    "probit": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "cloglog": lambda x: -mp.expm1(-mp.exp(x)),
    "loglog": lambda x: mp.exp(-mp.exp(-x)),
    "cauchit": lambda x: mp.mpf(1) / 2 + mp.atan(x) / mp.pi,
}
UPPER_TAILS = {
    "logit": lambda x: 1 / (1 + mp.exp(x)),
    "probit": lambda x: mp.erfc(x / mp.sqrt(2)) / 2,
    "cloglog": lambda x: mp.exp(-mp.exp(x)),
    "loglog": lambda x: -mp.expm1(-mp.exp(-x)),
    "cauchit": lambda x: mp.mpf(1) / 2 - mp.atan(x) / mp.pi,
}


def in_pymc(family: Family, link: Link, eta: Any, o: Outcome, aux: Any = types.MappingProxyType({})) -> Any:
    """A model of PyMC with these linear predictors and parameters, and nothing else."""
    import pymc as pm
    import pytensor.tensor as pt

    from bayesmargins.model.build import tensor_means

    eta, given = pt.as_tensor(eta), {k: pt.as_tensor(np.float64(v)) for k, v in aux.items()}
    with pm.Model(coords={"obs": np.arange(len(o.y))}) as model:
        family.pymc(pm, "y", Values(**tensor_means(link, eta), eta=eta, link=link, **given), o)
    return model


@pytest.mark.parametrize(("name", "word"), COUNTED, ids="-".join)
def test_likelihood_of_pymc_far_out_has_its_digits_and_a_slope(name: str, word: str) -> None:
    """Where h or 1 - h is far less than the spacing of numbers at 1; every y at every eta."""
    import pytensor
    import pytensor.tensor as pt

    n = 1 if name == "bernoulli" else 3
    etas = np.array([-40.0, -9.0, -1.5, 0.0, 0.5, 5.0, 6.5 if "loglog" in word else 40.0])
    x, y = (a.ravel() for a in np.meshgrid(-etas if word == "loglog" else etas, np.arange(n + 1.0)))
    eta = pt.vector("eta", dtype="float64", shape=x.shape)
    model = in_pymc(FAMILIES[name], LINKS[word], eta, Outcome(y, None if n == 1 else np.full(len(x), float(n))))
    found = model.logp(sum=False)[0]
    found, slopes = pytensor.function([eta], [found, pt.grad(found.sum(), eta)], mode=interpreted())(x)

    def exact(x: Any, k: float) -> Any:
        below, above = TAILS[word](x), UPPER_TAILS[word](x)
        return mp.log(mp.binomial(n, k)) + k * mp.log(below) + (n - k) * mp.log(above)

    with mp.workdps(40):
        points = [(mp.mpf(at), k) for at, k in zip(x, y, strict=True)]
        wanted = [float(exact(at, k)) for at, k in points]
        wanted_slopes = [float(mp.diff(lambda z, k=k: exact(z, k), at)) for at, k in points]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("name", "word"), COUNTED, ids="-".join)
def test_pymc_draws_the_family_and_knows_what_y_cannot_be(name: str, word: str) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    eta, n = np.linspace(-1.5, 1.0, 8), CASES[name].trials or 1.0
    o = Outcome(np.zeros(8), CASES[name].trials and np.full(8, n))
    y = in_pymc(FAMILIES[name], LINKS[word], pt.as_tensor(eta), o)["y"]
    drawn, mu = pm.draw(y, draws=4000, random_seed=1), LINKS[word].inverse(eta)
    assert drawn.dtype == np.int64
    assert np.all(np.abs(drawn.mean(axis=0) - n * mu) < FAR * np.sqrt(n * mu * (1.0 - mu) / 4000))
    for impossible in (-1, int(n) + 1):
        assert np.all(pm.logp(y, np.full(8, impossible)).eval(mode=interpreted()) == -np.inf)


def posterior(family: Family, link: Link, case: Case, s: float) -> bm.Posterior:
    """Two draws of a model with an intercept and groups."""
    rng = np.random.default_rng(8)
    eta = np.resize(case.etas, 12)
    o = Outcome(trials=None if case.trials is None else np.full(12, case.trials))
    y = family.simulate(rng, values(family, link, eta, case), o)
    frame = pd.DataFrame({"y": np.asarray(y, dtype=float), "g": [*"abcdef"] * 2, "x": eta, "n": case.trials or 1.0})
    return bm.from_draws(
        f"y{' | trials(n)' if case.trials else ''} ~ x + (1 | g)",
        frame,
        family=family.name,
        link=link.name,
        beta=np.array([[[0.1, 1.0], [-0.2, 0.8]]]),
        b={"g": s * rng.normal(size=(1, 2, 6, 1))},
        Sigma={"g": np.full((1, 2, 1, 1), s**2)},
        aux={name: np.full((1, 2), value) for name, value in case.aux.items()},
    )


def test_no_variance_between_groups_leaves_b_at_zero(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    post = posterior(family, link, case, 0.0)
    for target in ("mean", bm.exceeds(case.c), bm.quantile(0.7), bm.sd()):
        new, zero = (bm.predictions(post, groups=g, target=target)["estimate"].values for g in ("new", "zero"))
        np.testing.assert_allclose(new, zero, rtol=1e-12)


def test_new_groups_are_those_of_a_simulation(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    if link.no_average:
        with pytest.raises(bm.IntegrationError, match=re.escape(f"do not exist under the {link.name} link")):
            over_groups(family, link, case, case.s, case.etas[0])
        return
    for eta in case.etas:
        y, found = simulated(family, link, case, case.s, eta), over_groups(family, link, case, case.s, eta)
        tail = found.tail("above", np.array([case.c])).value[0]
        assert abs(np.mean(y > case.c) - tail) < FAR * np.sqrt(tail * (1.0 - tail) / SIMULATED)
        sd = found.sd().value[0]
        of_squares = np.var((y - y.mean()) ** 2)
        assert abs(np.var(y) - sd**2) < FAR * np.sqrt(of_squares / SIMULATED)
        quantile, noise = found.quantile(0.8).value[0], FAR * np.sqrt(0.16 / SIMULATED)
        assert np.mean(y <= quantile) > 0.8 - noise
        assert np.mean(y < quantile) < 0.8 + noise


def test_log_density_and_predictive_draws_come_with_every_family(pair: tuple[Family, Link, Case]) -> None:
    family, link, case = pair
    post = posterior(family, link, case, case.s)
    assert np.isfinite(post.log_likelihood()["y"]).all()
    drawn = bm.posterior_predictive(post, random_seed=1)["estimate"].values
    assert family.support.holds(
        Outcome(drawn, None if case.trials is None else np.full(drawn.shape, case.trials))
    ).all()


# A family that is added as the documents say: one object, and nothing else.
BETA = Family(
    "plain_beta",
    (
        Parameter("mu", ("logit", "probit", "cloglog"), noun="expected value"),
        Parameter("phi", meaning="Var(y) = mu (1 - mu) / (1 + phi)"),
    ),
    Support("numbers between 0 and 1", lambda o: (o.y > 0) & (o.y < 1)),
    log_density=lambda p, o: stats.beta.logpdf(o.y, p.mu * p.phi, p.complement * p.phi),
    simulate=lambda rng, p, o: rng.beta(p.mu * p.phi, (1.0 - p.mu) * p.phi),
    above=lambda c, p, o: scipy.special.betaincc(p.mu * p.phi, p.complement * p.phi, c),
    below=lambda c, p, o: scipy.special.betainc(p.mu * p.phi, p.complement * p.phi, c),
    quantile=lambda q, p: scipy.special.betaincinv(p.mu * p.phi, p.complement * p.phi, q),
    variance=lambda p, o: (0.0, 1.0 / (1.0 + p.phi), -1.0 / (1.0 + p.phi)),
)
GAMMA = Family(
    "plain_gamma",
    (Parameter("mu", ("log",), noun="expected value"), Parameter("shape", meaning="Var(y) = mu^2 / shape")),
    Support("numbers above 0", lambda o: o.y > 0),
    simulate=lambda rng, p, o: rng.gamma(p.shape, p.mu / p.shape),
    above=lambda c, p, o: scipy.special.gammaincc(p.shape, p.shape * np.maximum(c, 0.0) / p.mu),
    below=lambda c, p, o: scipy.special.gammainc(p.shape, p.shape * np.maximum(c, 0.0) / p.mu),
    quantile=lambda q, p: p.mu / p.shape * scipy.special.gammaincinv(p.shape, q),
    variance=lambda p, o: (0.0, 0.0, 1.0 / p.shape),
)
ADDED = [(BETA, "logit", Case({"phi": 20.0}, c=0.4)), (GAMMA, "log", Case({"shape": 1.7}, c=0.8))]


@pytest.fixture(params=ADDED, ids=["beta", "gamma"])
def added(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Family, Link, Case]:
    family, link, case = request.param
    monkeypatch.setitem(FAMILIES, family.name, family)
    return family, LINKS[link], case


def test_an_added_family_scatters_as_it_is_simulated(added: tuple[Family, Link, Case]) -> None:
    test_new_groups_are_those_of_a_simulation(added)
    test_quantile_inverts_the_lower_tail(added)


def test_an_added_family_has_its_own_shares_of_variance(added: tuple[Family, Link, Case]) -> None:
    family, link, case = added
    post = posterior(family, link, case, case.s)
    found = bm.variance_partition(post, post.design.data.head(1))
    assert f"a {family.name} response has no variance of its own" in found.attrs["left_out"]
    rng = np.random.default_rng(2)
    eta = float(post.draws.beta[0] @ [1.0, post.design.data.x[0]])
    mu = link.inverse(eta + case.s * rng.standard_normal(SIMULATED))
    y = family.simulate(rng, Values(mu=mu, **case.aux), Outcome())
    share = found["estimate"].isel(chain=0, draw=0).sel(quantity="VPC of g, response scale")
    assert float(share) == pytest.approx(np.var(mu) / np.var(y), rel=0.01)


def test_a_parameter_of_an_added_family_is_explained_in_its_own_words(added: tuple[Family, Link, Case]) -> None:
    family, link, case = added
    post = posterior(family, link, case, case.s)
    name = family.aux[0]
    sentence = bm.describe(bm.predictions(post, target=name))
    assert f"arameter {name} ({family.parameter(name).meaning}) of y" in sentence


def test_what_a_family_does_not_say_is_refused(added: tuple[Family, Link, Case]) -> None:
    family, link, case = added
    post = posterior(family, link, case, case.s)
    lhs = post.formula
    with pytest.raises(bm.ModelError, match=f"family={family.name!r} has no default prior of '{family.aux[0]}'"):
        bm.GLMM(lhs, post.design.data, family=family.name)
    priors = replace(
        family, parameters=(family.parameters[0], replace(family.parameters[1], prior=lambda o: ("HalfNormal", {})))
    )
    FAMILIES[family.name] = priors
    with pytest.raises(bm.ModelError, match=f"pymc needs the likelihood of a PyMC model, and family={family.name!r}"):
        _ = bm.GLMM(lhs, post.design.data, family=family.name).pymc
    silent = replace(family, variance=None, log_density=None, simulate=None)
    FAMILIES[family.name] = silent
    post = replace(post, family=silent)
    with pytest.raises(bm.EstimandError, match=f"responses of family={family.name!r} have no standard deviation here"):
        bm.avg_predictions(post, target=bm.sd())
    with pytest.raises(bm.ModelError, match="variance_partition needs the variance of y"):
        bm.variance_partition(post)
    with pytest.raises(bm.ModelError, match="log_likelihood needs the density of y"):
        post.log_likelihood()
    with pytest.raises(bm.ModelError, match="posterior_predictive needs how y is drawn"):
        bm.posterior_predictive(post)
