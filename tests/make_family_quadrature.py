"""Write tests/data/family_quadrature.csv: y over normal groups by 30-digit quadrature, with mpmath alone.

Run in tests/: ``python make_family_quadrature.py``. Densities and tails are written down here anew. The trapezoid rule
in z converges geometrically for integrands that are analytic around the real line; two steps have to agree.
"""

from __future__ import annotations

from pathlib import Path

import mpmath as mp

mp.mp.dps = 34

LINKS = {
    "identity": lambda x: (x, 1 - x),
    "log": lambda x: (mp.exp(x), 1 - mp.exp(x)),
    "logit": lambda x: (1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))),
    "probit": lambda x: (mp.ncdf(x), mp.ncdf(-x)),
    "cloglog": lambda x: (-mp.expm1(-mp.exp(x)), mp.exp(-mp.exp(x))),
}
"""The mean and 1 - mean."""


def gamma_below(c, mu, _, p):
    return mp.gammainc(p["shape"], 0, p["shape"] * c / mu, regularized=True)


def beta_below(c, mu, complement, p):
    if complement * p["phi"] < 1e-40:
        return mp.mpf(0)  # all mass is at 1, but for less than the digits of the sum
    return mp.betainc(mu * p["phi"], complement * p["phi"], 0, c, regularized=True)


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


FAMILIES = {
    "gamma": (gamma_below, lambda mu, _, p: mu**2 / p["shape"]),
    "beta": (beta_below, lambda mu, complement, p: mu * complement / (1 + p["phi"])),
    "student_t": (t_below, t_variance),
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
Q = mp.mpf(3) / 4


def average(f, eta, s, step):
    """E[f(eta + s Z)]."""
    k = int(13 / step)
    return step * mp.fsum(mp.npdf(i * step) * f(eta + s * (i * step)) for i in range(-k, k + 1))


def numbers(family, link, p, eta, s, c, step):
    """Mean, standard deviation, and P(y > c), over normal groups."""
    below, variance = FAMILIES[family]
    h, n = LINKS[link], p.get("trials", 1)
    mean = average(lambda x: h(x)[0], eta, s, step)
    within = average(lambda x: variance(*h(x), p), eta, s, step)
    between = average(lambda x: (n * (h(x)[0] - mean)) ** 2, eta, s, step)
    tail = average(lambda x: 1 - below(mp.mpf(c), *h(x), p), eta, s, step)
    return mean, mp.sqrt(within + between), tail


def quantile(family, link, p, eta, s, step):
    """Where P(y <= x) is 3 / 4."""
    below, h = FAMILIES[family][0], LINKS[link]

    def excess(x):
        return average(lambda e: below(x, *h(e), p), eta, s, step) - Q

    if family == "beta_binomial":
        return next(k for k in range(p["trials"] + 1) if excess(k) >= 0)
    low, high = {"beta": (mp.mpf("1e-6"), 1 - mp.mpf("1e-9"))}.get(family, (mp.mpf("0.01"), mp.mpf(20)))
    return mp.findroot(excess, (low, high), solver="anderson", tol=1e-50, maxsteps=60)


def rows():
    """Lines of the table."""
    for family, links, given, eta, s, c in CASES:
        p = {k: v if k == "trials" else mp.mpf(v) for k, v in given.items()}
        finer = 6 if s > given.get("sigma", s) else 1  # a narrow t over wide groups has its poles near the real line
        for link in links:
            fine = numbers(family, link, p, eta, s, c, mp.mpf(1) / (16 * finer))
            coarse = numbers(family, link, p, eta, s, c, mp.mpf(1) / (12 * finer))
            assert all(abs(a / b - 1) < 1e-20 for a, b in zip(fine, coarse, strict=True)), (family, link)
            found = [*fine, mp.mpf(quantile(family, link, p, mp.mpf(eta), mp.mpf(s), mp.mpf(1) / (10 * finer)))]
            said = ";".join(f"{k}={v!r}" for k, v in given.items())
            yield f"{family},{link},{said},{eta!r},{s!r},{c!r}," + ",".join(mp.nstr(v, 22) for v in found)


if __name__ == "__main__":
    head = f"# made by tests/make_family_quadrature.py with mpmath {mp.__version__}\n"
    head += "family,link,parameters,eta,s,c,mean,sd,above,quantile\n"
    (Path(__file__).parent / "data" / "family_quadrature.csv").write_text(head + "\n".join(rows()) + "\n")
