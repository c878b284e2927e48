"""Formulas that a file brings: whatever they hold, nothing of it runs, and what users write still loads."""

from __future__ import annotations

import ast
import builtins
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.design import build_design, build_part, parse, template_design
from bayesmargins.design.calls import FUNCTIONS
from bayesmargins.design.formula_reading import required_columns
from bayesmargins.design.stored import check_stored

ROOT = Path(__file__).resolve().parents[1]
DATA = simulated()
PLACES = ["y ~ {}", "y ~ x + ({} | g)", "y ~ x + offset({})", "{} ~ x", "y | trials({}) ~ x"]

# One a line. Each calls something, reaches for something that it should not, or asks for a size without end.
ATTACKS = r"""
center.__builtins__.get('exec')('open("canary","w")')
I(center.__builtins__.get('exec')('1'))
I(scale.__wrapped__.__globals__)
I(poly.__wrapped__)
I(C.__globals__)
C(f, contr.treatment.__init__)
C(f, contr.treatment.__init__.__globals__)
I(contr.treatment.mro())
C(f, contr.treatment(**{'base': 'b'}))
C(f, contr.treatment(_base='b'))
C(f, contr.treatment(x))
C(f, exec('1'))
C(f, x.pipe(print))
I(contr.treatment)
log(contr.treatment)
I(`exec`('open("canary","w")'))
I(`__import__`('os'))
I(`eval`("1"))
`__import__`
__import__
exec('1')(x)
I(exec('open("canary","w")')(x))
(exec('open("canary","w")')(x) ~ 1)
{exec('open("canary","w")')}
{center.__builtins__}
{x.pipe(print)}
I(")") + exec('open("canary","w")')
I("`" + exec('open("canary","w")') + "`")
I('`') + I(exec('open("canary","w")')) + I('`')
I('\'`') + I(exec('1')) + I('`')
center(x, '"] and exec("1") and ["')
scale(x, ddof='"] + [exec("1")][0] + ["')
bs(x, df=4, extrapolation='"]and exec("1")and["')
I(9**9**9)
I(x + 9**9**9)
I(I(9)**I(9)**I(9))
I(x * (2 and 9)**(2 and 9)**9)
I((log(2) and 9)**(log(2) and 9)**(log(2) and 9))
I(1 << 10**9)
I(x * (1 << 10**9))
I(10**10**10)
I(x + (9 if x is x else 9)**9**9)
hashed(f, levels=10**12)
hashed(f, levels=1000000000000)
hashed(f, 10**9)
hashed(f, 5, hash_func=print)
poly(x, 10**9)
poly(x, degree=100000000)
poly(x, x.max())
poly(x, abs(-10**9))
bs(x, df=10**9)
bs(x, degree=10**8)
cs(x, df=10**9)
C(x, levels=10**12)
C(f, levels=range(10**12))
C(f, levels=[0]*10**10)
I('a'*10**10)
I(f.str.lower()*10**9)
I(x.astype('str')*10**9)
I(where(x > 0, 'a', 'b')*10**9)
I(x.astype('S1000000000'))
I(x.astype('O'))
I(x.astype('U' * 3))
I([0]*10**10)
I((0,)*10**10)
I(x + 1e999)
I(f"{x}")
I(f'{x.__class__}')
I((lambda: 1)())
I([x for x in (1,)])
I({x: 1 for x in (1,)})
I({*x})
I((y := x))
I(x[0])
I(x['a'])
I(np.e['a'])
I(*x)
log(*x)
log(**x)
center(x, _state=x)
center(x, _context=x)
center(x, _spec=1)
np.load('secret')
np.fromfile('secret')
np.loadtxt('secret')
np.lib.format.open_memmap('x', mode='w+')
I(np.vectorize(print)(x))
I(np.ctypeslib)
np.testing.rundocs('x')
np.f2py.os.system('true')
I(np.log.__class__)
I(np.log.__class__.__base__.__subclasses__())
np.sqrt(x, x)
np.power(x, 2, x)
np.sqrt(x, out=x)
np.clip(x, 0, 1, x)
np.where(x, x)
I(x.to_pickle('canary'))
I(x.to_csv('canary'))
I(x.eval('1'))
I(x.apply(print))
I(x.map(print))
I(x.pipe(print))
I(x.values.tofile('canary'))
I(x.clip(0, 1, inplace=True))
I(x.dt._parent)
I(x.str._orig)
I(x.str.cat)
I('{0.__class__}'.format(x))
I('%s' % x)
I(b'abc')
I(1j)
I(...)
I(await_)
I(yield_)
Q('x')
Q('np')
I(np)
contr
C
I(C)
I(print)
open('canary','w')
eval('1')
compile('1','','eval')
globals()
getattr(x, 'to_csv')('canary')
vars(x)
type(x)
breakpoint()
input()
(x + f + g + h + e + n + w) ** 9
(x + f) ** 30
x*f*g*h*e*n*w*x*f*treated*flag*x*f*g*h*e
.
x | f | f
[x ~ f]
x ~ f
"abc"
1e400:x
99999999999999999999:x
-
x $ f
x ? f
""".strip("\n").split("\n")

DEEP = {
    "brackets": "I(" + "(" * 5000 + "x" + ")" * 5000 + ")",
    "signs": "I(" + "-" * 5000 + "x)",
    "sums": "I(" + "x+" * 5000 + "x)",
    "methods": "I(x" + ".abs()" * 1200 + ")",
    "many terms": "+".join(["x"] * 6000),
    "a long name": "x" * 100_000,
    "a long text": "I('" + "a" * 3000 + "')",
    "a long number": "I(" + "9" * 4000 + ")",
    "a long list": "I(x.isin([" + "1," * 10_000 + "]))",
    "backticks": "`" * 999,
    "a new line": "I(x\n.__class__)",
    "a second statement": "I(x);import os",
    "letters that Python reads as others": "I(ｅxec('1'))",
    "a method in such letters": "I(x.ｔo_csv('canary'))",
    "a sign that turns the text": "I(\u202e x)",
    "NUL": "I(x\x00)",
    "half of a pair": "y\ud800",
}


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was run, by name; nothing at the end, and no file either."""
    fired: list[str] = []
    monkeypatch.chdir(tmp_path)
    for module, names in ((os, ["system", "popen", "remove"]), (builtins, ["print", "input", "breakpoint", "open"])):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_, name=name, **__: fired.append(name))
    yield fired
    monkeypatch.undo()
    assert fired == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("term", [*ATTACKS, *DEEP.values()], ids=[*ATTACKS, *DEEP])
def test_nothing_that_a_file_smuggles_in_is_run(term: str, canary: list[str]) -> None:
    data = DATA.copy()
    for place in PLACES:
        with pytest.raises(bm.FormulaError):
            build_design(place.replace("{}", term), data, stored=True)
    with pytest.raises(bm.FormulaError):
        build_part("sigma", f"~ {term}", build_design("x ~ f", data), stored=True)
    with pytest.raises((bm.FormulaError, bm.DataError)):
        template_design(f"y ~ {term}", {"f": ["a", "b"]}, stored=True)
    pd.testing.assert_frame_equal(data, DATA)


@pytest.mark.parametrize("name", ["exec", "np", "center", "log", "__import__", "contr", "I"])
def test_a_column_named_like_a_function_makes_it_no_function(name: str, canary: list[str]) -> None:
    data = DATA.assign(**{name: DATA["x"]})
    for term in (f"{name}('1')", f"I({name}.where(x > 0, 1, True))", f"I(`{name}`.array)", f"{name}.treatment(x)"):
        with pytest.raises(bm.FormulaError):
            build_design(f"y ~ {term}", data, stored=True)


@pytest.mark.parametrize(
    ("call", "namespace"),
    [
        ("I(np.f2py.os.system('true'))", {"np": np}),
        ("I(np.log.__class__)", {"np": np}),
        ("I(own.__globals__)", {"own": lambda v: v}),
        ("I(own.keywords)", {"own": lambda v: v}),
        ("I(own.__init__.__globals__)", {"own": SimpleNamespace()}),
        ("I(own(x)(x))", {"own": lambda v: v}),
        ("I(own(x, _state=1))", {"own": lambda v: v}),
        ("I(own(exec('1')))", {"own": lambda v: v}),
        ("C(f, own.__init__.__globals__('1'))", {"own": SimpleNamespace()}),
        ("C(f, own(exec('1')))", {"own": lambda v: v}),
        ("I(k ** k ** k)", {"k": 10}),
        ("I(np.interp(x, [0, 1], [0, 1]))", {"np.interp": np.log}),
    ],
)
def test_what_the_user_hands_over_opens_no_other_door(call: str, namespace: dict[str, Any], canary: list[str]) -> None:
    with pytest.raises(bm.FormulaError):
        build_design(f"y ~ {call}", DATA, namespace=namespace, stored=True)


@pytest.mark.parametrize(
    ("term", "namespace"),
    [
        ("double(x)", {"double": lambda v: 2 * v}),
        ("I(np.interp(x, [-1, 1], [0, 1]))", {"np.interp": np.interp}),
        ("I(np.interp(x, [-1, 1], [0, 1]))", {"np": np}),
        ("I(own.half(x))", {"own": SimpleNamespace(half=lambda v: v / 2)}),
        ("poly(x, degree)", {"degree": 2}),
        ("I(x / s)", {"s": 2.5}),
    ],
)
def test_what_the_user_hands_over_is_called(term: str, namespace: dict[str, Any]) -> None:
    a, b = (build_design(f"y ~ {term}", DATA, namespace=namespace, stored=s).rows(DATA).X for s in (False, True))
    np.testing.assert_array_equal(a, b)


ALLOWED = [
    "C(f, Treatment('b'))", "C(f, contr.treatment)", "C(f, contr.treatment('b'))", "C(f, contr.poly(scores=[1, 2, 5]))",
    "C(f, {'u': [1, 0, -1], 'v': [0, 1, -1]})", "C(f, np.array([[1, 0], [0, 1], [-1, -1]]))", "C(f, Sum)",
    "C(f, levels=['c', 'b', 'a'])", "C(f.str.upper())", "C(x > 0)", "C(where(x > 0, 'hi', 'lo'))", "C(n % 2)",
    "I(f == 'a')", "I(f == \"it's\")", "I(f.isin(['a', 'b']))", "np.isin(f, ['a'])", "x.astype('float')",
    "bs(x, knots=[-1 / 3, 1 / 3])", "bs(x, df=5, upper_bound=10000, extrapolation='extend')", "bs(center(x), df=4)",
    "cs(x, df=4, constraints='center')", "scale(x, center=1.5)", "standardize(x)", "poly(x, 3, raw=True)", "{x + 1}",
    "2:x", "(x + f)^2 - x:f", "x %in% f", "f:g:h", "x.clip(-1, 1)", "clip(x, -1, 1)", "x.between(-1, 1)", "x.round(1)",
    "hashed(f, levels=3)", "exp10(x)", "I(x * (flag == 1))", "log(x + 10) / log(2)", "I(x * np.pi / 180)", "I(-x)",
    "I(n // 2 + 10**3)", "I(x / 6.022e23)",
    "C(f, contr.sum())", "C(f, Helmert())", "f*g*h*treated", "I(`a b` / 2)", "C(`a b`)", "`a b`:f", "`Plot/Block`",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The .* fixed columns")
@pytest.mark.parametrize("term", ALLOWED)
def test_what_a_user_may_write_means_the_same_from_a_file(term: str) -> None:
    data = DATA.assign(**{"a b": DATA["n"], "Plot/Block": DATA["h"]})
    made, again = (build_design(f"y ~ {term}", data, stored=s) for s in (False, True))
    assert made.coef == again.coef
    np.testing.assert_array_equal(made.rows(data).X, again.rows(data).X)


def _written() -> Iterator[str]:
    """Every text of the package, its tests, pages and notebooks."""
    code = [
        p.read_text(encoding="utf-8")
        for d in ("bayesmargins", "benchmarks", "tests")
        for p in ROOT.glob(f"{d}/**/*.py")
        if p.name not in ("test_stored_formulas.py", "test_files.py")  # which hold attacks
    ]
    pages = [p.read_text(encoding="utf-8") for p in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"))]
    code += [block for page in pages for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    for notebook in ROOT.glob("notebooks/*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code += ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    for text in code:
        nodes = ast.walk(ast.parse(text))
        yield from (n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))


# What tests write to have it refused once there are data.
REFUSED = re.compile(
    r"np\.(mean|max|nope)|poly\((x, z|week, 9999)|\bQ\(|intercept=|\{\}|I\('a'\)|I\(week, trt|df='a'|center\(week, 1"
    r"|log\(C|contr\.sum\(arm|floor\)"
    r"|\bc\(k|I\(\)"
    r"|mo\((\)|week, |x \+|x, id)|I\(mo|log\(mo|s\(\)|\bs\(week, (3|k=1e9)|\bs\(x, (z\)|m=)|t2\((week\)|x, z, g)"
)


def test_every_formula_of_this_repository_may_come_from_a_file() -> None:
    seen = 0
    for text in {t for t in _written() if "~" in t and len(t) < 300}:
        try:
            parts = parse(f"y {text}" if text.lstrip().startswith("~") else text)
            pieces = [*parts.left, *parts.right]
            read = [required_columns(p, FUNCTIONS) for p in pieces]
        except bm.FormulaError:
            continue  # refused of a user, or an own function, which a file does not hold either
        if any(REFUSED.search(p) for p in pieces) or not any(read):
            continue  # refused once there are data
        for piece in pieces:
            check_stored(piece, None, {})
        seen += 1
    assert seen > 250


def test_file_is_read_without_a_namespace_where_every_function_is_on_the_list(tmp_path: Path) -> None:
    formula = "k ~ poly(x, 2) + np.log1p(n) + sqrt(e) + C(f, contr.sum) + (0 + I(x^2) | g) + offset(log(e))"
    post = random_posterior(formula, simulated(), "poisson")
    post.save(path := tmp_path / "listed.nc")
    np.testing.assert_array_equal(values(bm.predictions(bm.load(path))), values(bm.predictions(post)))
