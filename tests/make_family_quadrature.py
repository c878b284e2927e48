"""Write tests/data/family_quadrature.csv: y over normal groups by 30-digit quadrature, with mpmath alone.

Run in tests/: ``python make_family_quadrature.py [family ...]``, of these families alone or of all. Densities and tails
are written down here anew. The trapezoid rule in z converges geometrically for integrands that are analytic around the
real line; two steps have to agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mpmath as mp

mp.mp.dps = 34

LINKS = {
    "identity": lambda x: (x, 1 - x),
    "log": lambda x: (mp.exp(x), 1 - mp.exp(x)),
    "logit": lambda x: (1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))),
    "probit": lambda x: (mp.ncdf(x), mp.ncdf(-x)),
    "cloglog": lambda x: (-mp.expm1(-mp.exp(x)), mp.exp(-mp.exp(x))),
    "loglog": lambda x: (mp.exp(-mp.exp(-x)), -mp.expm1(-mp.exp(-x))),
    "cauchit": lambda x: (0.5 + mp.atan(x) / mp.pi, 0.5 - mp.atan(x) / mp.pi),
    "softplus": lambda x: (mp.log1p(mp.exp(x)), 1 - mp.log1p(mp.exp(x))),
    "sqrt": lambda x: (x * x, 1 - x * x),
}
"""The mean and 1 - mean."""


def gamma_below(c, mu, _, p):
    return mp.gammainc(p["shape"], 0, p["shape"] * c / mu, regularized=True)


def beta_below(c, mu, complement, p):
    if complement * p["phi"] < 1e-40:
        return mp.mpf(0)  # all mass is at 1, but for less than the digits of the sum
    return mp.betainc(mu * p["phi"], complement * p["phi"], 0, c, regularized=True)


def negbinomial_below(c, mu, _, p):
    return mp.betainc(p["shape"], int(c) + 1, 0, p["shape"] / (p["shape"] + mu), regularized=True)


def binomial_below(c, mu, complement, p):
    n = p["trials"]
    return mp.fsum(mp.binomial(n, k) * mu**k * complement ** (n - k) for k in range(int(c) + 1))


def t_below(c, mu, _, p):
    t = (c - mu) / p["sigma"]
    tail = mp.betainc(p["nu"] / mp.mpf(2), mp.mpf(1) / 2, 0, p["nu"] / (p["nu"] + t**2), regularized=True) / 2
    return tail if t < 0 else 1 - tail


def beta_binomial_below(c, mu, complement, p):
    n, a, b = p["trials"], mu * p["phi"], complement * p["phi"]
    if int(c) >= n or b < 1e-40:
        return mp.mpf(int(c) >= n)
    return mp.fsum(mp.binomial(n, k) * mp.beta(a + k, b + n - k) for k in range(int(c) + 1)) / mp.beta(a, b)


def t_variance(mu, complement, p):
    return p["sigma"] ** 2 * p["nu"] / (p["nu"] - 2)


def weibull_below(c, mu, _, p):
    return -mp.expm1(-((c * mp.gamma(1 + 1 / p["shape"]) / mu) ** p["shape"]))


def weibull_variance(mu, _, p):
    return mu**2 * (mp.gamma(1 + 2 / p["shape"]) / mp.gamma(1 + 1 / p["shape"]) ** 2 - 1)


def inverse_gaussian_below(c, mu, _, p):
    root = mp.sqrt(p["shape"] / c)
    first = mp.ncdf(root * (c / mu - 1))
    if p["shape"] / mu > 1e5:
        return first + mp.npdf(root * (c / mu - 1)) / (root * (c / mu + 1))  # both below every digit of the sum
    return first + mp.exp(2 * p["shape"] / mu) * mp.ncdf(-root * (c / mu + 1))


def shifted_lognormal_below(c, mu, _, p):
    return mp.ncdf((mp.log(c - p["ndt"]) - mu) / p["sigma"])


def exgaussian_below(c, mu, _, p):
    x, d = (c - mu + p["tau"]) / p["sigma"], p["sigma"] / p["tau"]
    return mp.ncdf(x) - mp.exp(d * d / 2 - d * x) * mp.ncdf(x - d)


def laplace_below(c, mu, _, p):
    q, z = p["quantile"], (c - mu) / p["sigma"]
    return 1 - (1 - q) * mp.exp(-q * z) if z > 0 else q * mp.exp((1 - q) * z)


def laplace_over_groups(c, eta, s, p):
    """In two pieces: the density of y has a kink at its centre."""
    kink = (c - eta) / s
    ends = sorted({mp.mpf(-13), mp.mpf(-5), mp.mpf(0), mp.mpf(5), mp.mpf(13), kink})
    return mp.quad(lambda z: mp.npdf(z) * laplace_below(c, eta + s * z, None, p), ends)


def skew_normal_over_groups(c, eta, s, p):
    """y is xi + omega (delta |U| + sqrt(1 - delta^2) V), and b + V are one normal number."""
    delta = p["alpha"] / mp.sqrt(1 + p["alpha"] ** 2)
    omega = p["sigma"] / mp.sqrt(1 - 2 * delta**2 / mp.pi)
    xi, rest = eta - omega * delta * mp.sqrt(2 / mp.pi), mp.sqrt(omega**2 * (1 - delta**2) + s**2)
    return 2 * mp.quad(lambda u: mp.npdf(u) * mp.ncdf((c - xi - omega * delta * u) / rest), [0, 1, 2, 4, 8, 13])


def with_zeros(below, second, share, mean=lambda mu, p: mu):
    """P(y <= c) and Var(y) of a mixture with 0, from P(y <= c) and E[y^2] of what else there is."""

    def of_below(c, mu, complement, p):
        return p[share] + (1 - p[share]) * below(c, mu, complement, p)

    def variance(mu, complement, p):
        return (1 - p[share]) * second(mu, complement, p) - ((1 - p[share]) * mean(mu, p)) ** 2

    return of_below, variance


def poisson_below(c, mu, _, p):
    return mp.gammainc(int(c) + 1, mu, mp.inf, regularized=True)


def without_zero(below, second):
    """The same of a count that is not 0."""

    def left(mu, p):
        return 1 - below(0, mu, None, p)

    def of_below(c, mu, complement, p):
        return (below(c, mu, complement, p) - below(0, mu, complement, p)) / left(mu, p)

    return of_below, lambda mu, complement, p: second(mu, complement, p) / left(mu, p), lambda mu, p: mu / left(mu, p)


def poisson_second(mu, _, p):
    return mu + mu**2


def negbinomial_second(mu, _, p):
    return mu + mu**2 * (1 + 1 / p["shape"])


def beta_second(mu, complement, p):
    return mu**2 + mu * complement / (1 + p["phi"])


def one_inflated_below(c, mu, complement, p):
    return p["zoi"] * (1 - p["coi"]) + (1 - p["zoi"]) * beta_below(c, mu, complement, p)


def one_inflated_variance(mu, complement, p):
    ones = p["zoi"] * p["coi"]
    return ones + (1 - p["zoi"]) * beta_second(mu, complement, p) - (ones + (1 - p["zoi"]) * mu) ** 2


def lognormal_below(c, mu, _, p):
    return mp.ncdf((mp.log(c) - mu) / p["sigma"])


POISSON_HURDLE = without_zero(poisson_below, poisson_second)
NEGBINOMIAL_HURDLE = without_zero(negbinomial_below, negbinomial_second)
OVER_GROUPS = {"asymmetric_laplace": laplace_over_groups, "skew_normal": skew_normal_over_groups}
"""P(y <= c) over normal groups, where the trapezoid rule does not give it."""
MEANS = {
    "shifted_lognormal": lambda mu, p: p["ndt"] + mp.exp(mu + p["sigma"] ** 2 / 2),
    "asymmetric_laplace": lambda mu, p: mu + p["sigma"] * (1 / p["quantile"] - 1 / (1 - p["quantile"])),
    "zero_inflated_poisson": lambda mu, p: (1 - p["zi"]) * mu,
    "zero_inflated_negbinomial": lambda mu, p: (1 - p["zi"]) * mu,
    "zero_inflated_binomial": lambda mu, p: (1 - p["zi"]) * mu,
    "zero_inflated_beta": lambda mu, p: (1 - p["zi"]) * mu,
    "zero_one_inflated_beta": lambda mu, p: (1 - p["zoi"]) * mu + p["zoi"] * p["coi"],
    "hurdle_poisson": lambda mu, p: (1 - p["hu"]) * POISSON_HURDLE[2](mu, p),
    "hurdle_negbinomial": lambda mu, p: (1 - p["hu"]) * NEGBINOMIAL_HURDLE[2](mu, p),
    "hurdle_gamma": lambda mu, p: (1 - p["hu"]) * mu,
    "hurdle_lognormal": lambda mu, p: (1 - p["hu"]) * mp.exp(mu + p["sigma"] ** 2 / 2),
}
"""E[y], where it is not mu."""
FAMILIES = {
    "exponential": (lambda c, mu, _, p: -mp.expm1(-c / mu), lambda mu, _, p: mu**2),
    "weibull": (weibull_below, weibull_variance),
    "geometric": (lambda c, mu, _, p: 1 - (mu / (1 + mu)) ** (int(c) + 1), lambda mu, _, p: mu + mu**2),
    "inverse_gaussian": (inverse_gaussian_below, lambda mu, _, p: mu**3 / p["shape"]),
    "shifted_lognormal": (
        shifted_lognormal_below,
        lambda mu, _, p: mp.exp(2 * mu + p["sigma"] ** 2) * mp.expm1(p["sigma"] ** 2),
    ),
    "exgaussian": (exgaussian_below, lambda mu, _, p: p["sigma"] ** 2 + p["tau"] ** 2),
    "skew_normal": (None, lambda mu, _, p: p["sigma"] ** 2),
    "asymmetric_laplace": (
        laplace_below,
        lambda mu, _, p: p["sigma"] ** 2 * (1 / p["quantile"] ** 2 + 1 / (1 - p["quantile"]) ** 2),
    ),
    "gaussian": (lambda c, mu, _, p: mp.ncdf((c - mu) / p["sigma"]), lambda mu, _, p: p["sigma"] ** 2),
    "poisson": (lambda c, mu, _, p: mp.gammainc(int(c) + 1, mu, mp.inf, regularized=True), lambda mu, _, p: mu),
    "negbinomial": (negbinomial_below, lambda mu, _, p: mu + mu**2 / p["shape"]),
    "binomial": (binomial_below, lambda mu, complement, p: p["trials"] * mu * complement),
    "gamma": (gamma_below, lambda mu, _, p: mu**2 / p["shape"]),
    "beta": (beta_below, lambda mu, complement, p: mu * complement / (1 + p["phi"])),
    "student_t": (t_below, t_variance),
    "zero_inflated_poisson": with_zeros(poisson_below, poisson_second, "zi"),
    "zero_inflated_negbinomial": with_zeros(negbinomial_below, negbinomial_second, "zi"),
    "zero_inflated_binomial": with_zeros(
        binomial_below,
        lambda mu, complement, p: p["trials"] * mu * complement + (p["trials"] * mu) ** 2,
        "zi",
        lambda mu, p: p["trials"] * mu,
    ),
    "zero_inflated_beta": with_zeros(beta_below, beta_second, "zi"),
    "zero_one_inflated_beta": (one_inflated_below, one_inflated_variance),
    "hurdle_poisson": with_zeros(*POISSON_HURDLE[:2], "hu", POISSON_HURDLE[2]),
    "hurdle_negbinomial": with_zeros(*NEGBINOMIAL_HURDLE[:2], "hu", NEGBINOMIAL_HURDLE[2]),
    "hurdle_gamma": with_zeros(gamma_below, lambda mu, _, p: mu**2 * (1 + 1 / p["shape"]), "hu"),
    "hurdle_lognormal": with_zeros(
        lognormal_below,
        lambda mu, _, p: mp.exp(2 * mu + 2 * p["sigma"] ** 2),
        "hu",
        lambda mu, p: mp.exp(mu + p["sigma"] ** 2 / 2),
    ),
    "beta_binomial": (
        beta_binomial_below,
        lambda mu, complement, p: p["trials"] * mu * complement * (p["phi"] + p["trials"]) / (p["phi"] + 1),
    ),
}

# family, links, parameters beside the mean, eta, s, c
CASES = [
    ("gamma", ("log",), {"shape": 2.25}, 0.5, 0.75, 1.5),
    ("gamma", ("log",), {"shape": 0.5}, -1.0, 1.5, 20.0),
    ("gamma", ("identity",), {"shape": 2.25}, 3.0, 0.1875, 4.5),
    ("beta", ("logit", "probit", "cloglog"), {"phi": 6.0}, 0.5, 0.75, 0.375),
    ("beta", ("logit", "probit", "cloglog"), {"phi": 0.75}, -1.25, 1.25, 0.96875),
    ("student_t", ("identity",), {"sigma": 1.25, "nu": 5.0}, 0.5, 0.75, 2.0),
    ("student_t", ("identity",), {"sigma": 0.5, "nu": 2.5}, -1.0, 3.0, 12.0),
    ("beta_binomial", ("logit", "probit", "cloglog"), {"phi": 3.0, "trials": 7}, 0.5, 0.75, 4.0),
    ("beta_binomial", ("logit", "probit", "cloglog"), {"phi": 40.0, "trials": 12}, -1.25, 1.25, 10.0),
]
CASES += [
    ("exponential", ("log",), {}, 0.5, 0.75, 1.5),
    ("exponential", ("log",), {}, -1.0, 1.5, 20.0),
    ("weibull", ("log",), {"shape": 1.625}, 0.5, 0.75, 1.5),
    ("weibull", ("log",), {"shape": 0.5}, -1.0, 1.5, 20.0),
    ("geometric", ("log",), {}, 0.5, 0.75, 2.0),
    ("geometric", ("log",), {}, -1.0, 1.5, 20.0),
    ("inverse_gaussian", ("log",), {"shape": 2.25}, 0.5, 0.75, 1.5),
    ("inverse_gaussian", ("log",), {"shape": 0.5}, -1.0, 1.5, 20.0),
    ("shifted_lognormal", ("identity",), {"sigma": 0.625, "ndt": 0.25}, 0.5, 0.75, 1.5),
    ("shifted_lognormal", ("identity",), {"sigma": 0.25, "ndt": 0.125}, -1.0, 1.5, 3.0),
    ("exgaussian", ("identity",), {"sigma": 0.75, "tau": 1.25}, 0.5, 0.75, 2.0),
    ("exgaussian", ("log",), {"sigma": 0.75, "tau": 1.25}, 0.5, 0.375, 2.0),
    ("exgaussian", ("identity",), {"sigma": 1.25, "tau": 0.125}, -1.0, 2.0, 6.0),
    ("skew_normal", ("identity",), {"sigma": 1.25, "alpha": 3.0}, 0.5, 0.75, 2.0),
    ("skew_normal", ("identity",), {"sigma": 1.25, "alpha": -8.0}, 0.25, 0.375, 4.0),
    ("asymmetric_laplace", ("identity",), {"sigma": 0.5, "quantile": 0.25}, 0.5, 0.75, 2.0),
    ("asymmetric_laplace", ("identity",), {"sigma": 0.25, "quantile": 0.9375}, 1.0, 0.375, 2.0),
]
CASES += [
    ("gaussian", ("log", "softplus"), {"sigma": 1.25}, 0.5, 0.75, 2.0),
    ("student_t", ("log", "softplus"), {"sigma": 1.25, "nu": 5.0}, 0.5, 0.75, 2.0),
    ("gamma", ("softplus",), {"shape": 2.25}, 0.5, 0.75, 1.5),
    ("inverse_gaussian", ("softplus",), {"shape": 2.25}, 0.5, 0.75, 1.5),
    ("poisson", ("log", "sqrt", "softplus"), {}, 0.5, 0.75, 2.0),
    ("negbinomial", ("log", "sqrt", "softplus"), {"shape": 1.75}, 0.5, 0.75, 2.0),
    ("beta", ("loglog", "cauchit"), {"phi": 6.0}, 0.5, 0.75, 0.375),
    ("beta_binomial", ("loglog", "cauchit"), {"phi": 3.0, "trials": 7}, 0.5, 0.75, 4.0),
    ("binomial", ("logit", "probit", "cloglog", "loglog", "cauchit"), {"trials": 7}, 0.5, 0.75, 4.0),
]
CASES += [
    ("zero_inflated_poisson", ("log", "softplus"), {"zi": 0.25}, 0.5, 0.75, 2.0),
    ("zero_inflated_negbinomial", ("log",), {"shape": 1.75, "zi": 0.25}, 0.5, 0.75, 2.0),
    ("zero_inflated_binomial", ("logit", "probit"), {"zi": 0.25, "trials": 7}, 0.5, 0.75, 4.0),
    ("zero_inflated_beta", ("logit",), {"phi": 6.0, "zi": 0.25}, 0.5, 0.75, 0.375),
    ("zero_one_inflated_beta", ("logit", "probit"), {"phi": 6.0, "zoi": 0.25, "coi": 0.375}, 0.5, 0.75, 0.375),
    ("hurdle_poisson", ("log",), {"hu": 0.25}, -0.5, 1.25, 1.0),
    ("hurdle_poisson", ("log",), {"hu": 0.5}, 2.0, 0.5, 8.0),
    ("hurdle_negbinomial", ("log",), {"shape": 0.375, "hu": 0.25}, 0.5, 0.75, 2.0),
    ("hurdle_negbinomial", ("log",), {"shape": 2.5, "hu": 0.25}, -0.5, 1.25, 1.0),
    ("hurdle_gamma", ("log",), {"shape": 2.25, "hu": 0.25}, 0.5, 0.75, 1.5),
    ("hurdle_lognormal", ("identity",), {"sigma": 0.625, "hu": 0.25}, 0.5, 0.75, 1.5),
]
COUNTS = ("beta_binomial", "binomial", "geometric", "negbinomial", "poisson", "zero_inflated_poisson")
COUNTS += ("zero_inflated_negbinomial", "zero_inflated_binomial", "hurdle_poisson", "hurdle_negbinomial")
SHARES = ("beta", "zero_inflated_beta", "zero_one_inflated_beta")
Q = mp.mpf(3) / 4


def average(f, eta, s, step):
    """E[f(eta + s Z)]."""
    k = int(17 / step)
    return step * mp.fsum(mp.npdf(i * step) * f(eta + s * (i * step)) for i in range(-k, k + 1))


def numbers(family, link, p, eta, s, c, step):
    """Mean, standard deviation, and P(y > c), over normal groups."""
    (below, variance), of_y = FAMILIES[family], MEANS.get(family, lambda mu, p: mu)
    n = p.get("trials", 1)

    def h(x):
        return LINKS[link](x)

    def m(x):
        return of_y(h(x)[0], p)

    mean = average(m, eta, s, step)
    within = average(lambda x: variance(*h(x), p), eta, s, step)
    between = average(lambda x: (n * (m(x) - mean)) ** 2, eta, s, step)
    if family in OVER_GROUPS:
        return mean, mp.sqrt(within + between), 1 - OVER_GROUPS[family](mp.mpf(c), mp.mpf(eta), mp.mpf(s), p)
    tail = average(lambda x: 1 - below(mp.mpf(c), *h(x), p), eta, s, step)
    return mean, mp.sqrt(within + between), tail


def quantile(family, link, p, eta, s, step):
    """Where P(y <= x) is 3 / 4."""
    below, h = FAMILIES[family][0], LINKS[link]

    def excess(x):
        if family in OVER_GROUPS:
            return OVER_GROUPS[family](x, eta, s, p) - Q
        return average(lambda e: below(x, *h(e), p), eta, s, step) - Q

    if family in COUNTS:
        return next(k for k in range(p.get("trials", 1000) + 1) if excess(k) >= 0)
    low, high = (mp.mpf("1e-6"), 1 - mp.mpf("1e-9")) if family in SHARES else (mp.mpf("0.01"), mp.mpf(20))
    low = p["ndt"] + low if family == "shifted_lognormal" else low
    return mp.findroot(excess, (low, high), solver="anderson", tol=1e-50, maxsteps=60)


def rows(only):
    """Lines of the table, of these families or of all."""
    for family, links, given, eta, s, c in (case for case in CASES if not only or case[0] in only):
        yield from _rows(family, links, given, eta, s, c)


def _rows(family, links, given, eta, s, c):
    p = {k: v if k == "trials" else mp.mpf(v) for k, v in given.items()}
    narrow = family in ("student_t", "exgaussian", "shifted_lognormal") and s > given["sigma"]
    finer = (
        6 if narrow else 2 if family == "inverse_gaussian" else 1
    )  # what is narrow may have poles near the real line
    for link in links:
        fine = numbers(family, link, p, eta, s, c, mp.mpf(1) / (16 * finer))
        coarse = numbers(family, link, p, eta, s, c, mp.mpf(1) / (12 * finer))
        assert all(abs(a / b - 1) < 1e-20 for a, b in zip(fine, coarse, strict=True)), (family, link)
        found = [*fine, mp.mpf(quantile(family, link, p, mp.mpf(eta), mp.mpf(s), mp.mpf(1) / (10 * finer)))]
        said = ";".join(f"{k}={v!r}" for k, v in given.items())
        yield f"{family},{link},{said},{eta!r},{s!r},{c!r}," + ",".join(mp.nstr(v, 22) for v in found)


if __name__ == "__main__":
    only = sys.argv[1:]
    table = Path(__file__).parent / "data" / "family_quadrature.csv"
    head = f"# made by tests/make_family_quadrature.py with mpmath {mp.__version__}\n"
    head += "family,link,parameters,eta,s,c,mean,sd,above,quantile\n"
    kept = [line for line in table.read_text().splitlines()[2:] if line.split(",")[0] not in only] if only else []
    table.write_text(head + "\n".join([*kept, *rows(only)]) + "\n")
