# `make demo` and `make test` set themselves up from nothing: they need Python 3.11 or newer, make and a package index.
# What they install goes into $(VENV) only; deleting that folder undoes it.

SHELL := /bin/sh
VENV ?= .venv
PYTHON ?=
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Pictures go to files, on machines without a screen too.
export MPLBACKEND := Agg

# The interpreter is what PYTHON names, or else the first of these that is new enough and can make environments.
# An interpreter can be present and yet not work (a version manager's stand-in, a system Python without venv), so each
# is asked.
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
IS_RECENT := import sys; sys.exit(sys.version_info < (3, 11))
HAS_VENV := import ensurepip, venv
VERSION := import sys; print("%d.%d" % sys.version_info[:2])

.DEFAULT_GOAL := help
.PHONY: help demo test lint pytest floors notebooks docs bench evidence clean check-venv

help:
	@echo "make demo        fit a mixed model to real data and report its effects; writes demo/"
	@echo "make test        check style, types and import direction, and run the tests"
	@echo "make lint        the checks of 'make test' without the tests"
	@echo "make floors      run the tests with the lowest versions that pyproject.toml allows; sets up .venv-floors"
	@echo "make notebooks   run every notebook afresh (KEEP=1 stores the outputs; NOTEBOOKS=name chooses)"
	@echo "make docs        build the pages of docs/ and the notebooks into docs/_build/html, and look at them in Chromium"
	@echo "make bench        measure what margins cost (a quarter of an hour; BENCH_ARGS=--quick: a minute or two)"
	@echo "make evidence     the tests that 'make test' leaves out, and laws that need many fits; writes docs/evidence (an hour)"
	@echo "make clean        delete $(VENV), .venv-floors, caches and what the demo wrote"
	@echo
	@echo "Each sets up $(VENV) first where needed. PYTHON=... names the interpreter, VENV=... another folder."

demo: $(VENV)/.installed
	@$(BIN)/python -m bayesmargins.demo

# The checks take one processor half a minute, beside the tests.
test: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory -j 2 lint pytest

# Tests of one file stay in one process, where they share their fits; conftest.py says in which order the files come.
ACROSS := -n $(JOBS) --dist loadfile --no-loadscope-reorder
pytest: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -q $(ACROSS) $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }

# The lowest Python with the lowest versions of what the package asks for by itself; uv resolves them, pip cannot.
floors:
	@$(MAKE) --no-print-directory .venv-floors/.installed-floors VENV=.venv-floors PYTHON=$(or $(PYTHON),python3.11)
	@.venv-floors/bin/python -m pytest -q $(ACROSS) $(PYTEST_ARGS)

notebooks: $(VENV)/.installed-notebooks
	@$(BIN)/python notebooks/run.py $(if $(KEEP),--keep) $(NOTEBOOKS)

# Pages and notebooks are one tree of sources, so that links between them are those that a code host follows.
docs: $(VENV)/.installed-docs
	@$(BIN)/python -m sphinx -W --keep-going -q -c docs -d docs/_build/doctrees . docs/_build/html
	@$(BIN)/python docs/check_site.py docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.installed
	@$(BIN)/python benchmarks/bench_margins.py $(BENCH_ARGS)

evidence: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -q $(ACROSS) -m evidence tests
	@for script in benchmarks/evidence_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) .venv-floors demo dist build docs/_build docs/reference docs/pictures/gallery .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps turn older than pyproject.toml after its dependencies change, and pip then brings the rest.
$(VENV)/.installed: pyproject.toml $(VENV)/.made
	@echo "installing bayesmargins and what it needs into $(VENV)"
	@$(PIP) install -qq -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.installed
	@echo "installing the test tools into $(VENV)"
	@$(PIP) install -qq -e '.[test]'
	@touch $@

$(VENV)/.installed-notebooks $(VENV)/.installed-docs: $(VENV)/.installed-%: pyproject.toml $(VENV)/.installed
	@echo "installing what the $* need into $(VENV)"
	@$(PIP) install -qq -e '.[$*]'
	@touch $@

$(VENV)/.installed-floors: pyproject.toml $(VENV)/.made
	@echo "installing the lowest versions into $(VENV)"
	@$(PIP) install -qq uv
	@$(BIN)/uv pip install -q --resolution lowest-direct --python $(BIN)/python -e '.[test]'
	@touch $@

# A working environment that someone else made (check-venv has looked at it) is used as it is.
$(VENV)/.made: | check-venv
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
	found=; bare=; \
	for python in $(CANDIDATES); do \
	    "$$python" -c '$(IS_RECENT)' >/dev/null 2>&1 || continue; \
	    if "$$python" -c '$(HAS_VENV)' >/dev/null 2>&1; then found=$$python; break; fi; \
	    bare="$${bare:-$$python}"; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	    echo "$$bare has no venv module: install it (on Debian and Ubuntu the package python3-venv) and run make again." >&2; \
	    exit 1; \
	elif [ -z "$$found" ]; then \
	    echo "No Python 3.11 or newer among: $(CANDIDATES). Install one, or name it: make ... PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	echo "setting up $(VENV) with Python $$("$$found" -c '$(VERSION)') (a few minutes, once)"; \
	"$$found" -m venv $(VENV) && touch $@

# An environment that is already there is used only if it works and is the Python that was asked for.
check-venv:
	@[ -e $(BIN)/python ] || [ -L $(BIN)/python ] || exit 0; \
	have=$$($(BIN)/python -c '$(VERSION)' 2>/dev/null); \
	want=$$([ -z "$(PYTHON)" ] || "$(PYTHON)" -c '$(VERSION)' 2>/dev/null) || want="no working Python"; \
	if ! $(BIN)/python -c '$(IS_RECENT)' 2>/dev/null; then \
	    echo "$(VENV) holds Python $${have:-that no longer runs}, and 3.11 or newer is needed: delete $(VENV) (make clean) or name another folder with VENV=..." >&2; \
	    exit 1; \
	elif [ -n "$$want" ] && [ "$$want" != "$$have" ]; then \
	    echo "$(VENV) was made with Python $$have, but PYTHON=$(PYTHON) is $$want: delete $(VENV) (make clean) or name another folder with VENV=..." >&2; \
	    exit 1; \
	fi
