"""Write tests/data/quadrature.csv: averages of links without a closed form by 30-digit quadrature.

Run in tests/: ``python make_quadrature.py``. Needs mpmath only; takes about a quarter of an hour.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import mpmath as mp
from quadrature import expected

ETA = (-30.0, -26.3, -22.0, -17.5, -13.0, -9.25, -6.0, -4.0, -2.5, -1.0, -0.1, 0.0, 0.75)
ETA += (1.5, 2.25, 3.0, 3.4, 4.0, 6.5, 10.0, 14.0, 18.5, 22.0, 26.5, 30.0)
S = (0.0, 1e-6, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 12.0, 50.0)
PARTS = ("mean", "complement", "d1", "d2", "d3", "d4")
CASES = list(product(("logit", "cloglog"), PARTS, ETA, S))
FEWER = (-40.0, -22.5, -9.25, -4.0, -1.0, 0.0, 0.75, 3.0, 8.0, 17.5, 40.0), (0.0, 0.05, 0.5, 2.0, 5.0, 16.0, 50.0)
CASES += product(("loglog", "cauchit", "softplus"), PARTS, *FEWER)
CASES = [case for case in CASES if case[:2] != ("softplus", "complement")]  # no probability, and no complement


def line(case: tuple[str, str, float, float]) -> str:
    """One row of the table."""
    link, part, eta, s = case
    return f"{link},{part},{eta!r},{s!r},{mp.nstr(expected(link, eta, s, part), 22)}"


if __name__ == "__main__":
    with ProcessPoolExecutor() as pool:
        lines = list(pool.map(line, CASES, chunksize=20))
    target = Path(__file__).parent / "data" / "quadrature.csv"
    target.parent.mkdir(exist_ok=True)
    head = f"# made by tests/make_quadrature.py with mpmath {mp.__version__}\nlink,part,eta,s,value\n"
    target.write_text(head + "\n".join(lines) + "\n")
