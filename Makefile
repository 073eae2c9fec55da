# Everything from a bare clone: `make tour` or `make test` make .venv first. Needs Python 3.11 and make.

# The first of these that runs: a pyenv shim may be on PATH and yet start nothing.
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for p in python3.11 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
endif

# Two torch threads on a busy two-core machine are up to 100 times slower than one.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

# What the latest environment keeps from constraints.txt.
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
WORKERS ?= 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help tour test test-all test-latest lint types bench bench-quick docs notebooks readme venv clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-19s %s\n", $$1, $$2 }'

tour: .venv/.installed ## a short walk through the library
	.venv/bin/python -m ppl_gen tour

test: .venv/.installed ## the fast tests
	.venv/bin/python -m pytest -n $(WORKERS) -m 'not slow'

test-all: .venv/.installed ## every test, the slow ones too
	.venv/bin/python -m pytest -n $(WORKERS)

test-latest: ## the fast tests on the newest Python here (3.12 or later) with the newest libraries
	@python=; \
	for minor in 15 14 13 12; do \
	  for p in python3.$$minor $$HOME/.pyenv/versions/3.$$minor*/bin/python3.$$minor; do \
	    if $$p -c '' 2>/dev/null; then python=$$p; break 2; fi; \
	  done; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "test-latest: no Python 3.12 or later found on PATH or in ~/.pyenv/versions; nothing was tested." >&2; exit 1; \
	fi; \
	echo "test-latest: $$($$python --version), $$python"; \
	$(MAKE) --no-print-directory .venv-latest/.installed LATEST=$$python
	.venv-latest/bin/python -m pytest -n $(WORKERS) -m 'not slow'

lint: .venv/.installed ## ruff
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .

types: .venv/.installed ## mypy
	.venv/bin/python -m mypy

bench: .venv/.installed .venv-bench/.installed ## the benchmarks against their peers, some 15 minutes
	.venv/bin/python -m benchmarks --peers .venv-bench/bin/python

bench-quick: .venv/.installed .venv-bench/.installed ## the same on small tables, only to see that they run
	.venv/bin/python -m benchmarks --peers .venv-bench/bin/python --quick

notebooks: .venv-docs/.installed ## run the tutorials from end to end, checks too, and write their notebooks
	.venv-docs/bin/python -m tutorials

docs: .venv-docs/.installed ## build the site into docs/_build/html, without a network; warnings are errors
	.venv-docs/bin/python -m sphinx -W -n -E --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

readme: .venv/.installed ## write the table of models into README.md
	.venv/bin/python -m tests.readme

venv: .venv/.installed ## make .venv and install into it

clean: ## remove the environments, caches and builds
	rm -rf .venv .venv-latest .venv-bench .venv-docs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/_build docs/api docs/tutorials ppl-gen-tour
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so a failed install leaves none. An environment that works is installed into, not remade.
.venv/.installed: pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ppl-gen needs Python 3.11 or later; name one with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@rm -f $@
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "Installing into .venv (a minute or more the first time)"
	@.venv/bin/python -m pip install --quiet -c constraints.txt torch
	@.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $@

# Without the constraints but for torch. Made anew when pyproject.toml or constraints.txt changes, to get the newest.
.venv-latest/.installed: pyproject.toml constraints.txt
	@rm -f $@
	$(LATEST) -m venv --clear .venv-latest
	@echo "Installing into .venv-latest (several minutes, several GB)"
	@.venv-latest/bin/python -m pip install --quiet $(TORCH)
	@.venv-latest/bin/python -m pip install --quiet $(TORCH) -e '.[test]'
	@touch $@

# The peers of the benchmarks. One that cannot be installed is left out, and why is kept for the report.
.venv-bench/.installed: constraints.txt
	@rm -f $@
	@$(PYTHON) -m venv --clear .venv-bench
	@echo "Installing the peers of the benchmarks into .venv-bench (some minutes)"
	@for peers in 'numpyro funsor jax' '$(TORCH) pomegranate'; do \
	  .venv-bench/bin/python -m pip install --quiet $$peers 2>.venv-bench/log || \
	    for peer in $$peers; do echo "$$peer: $$(grep ^ERROR .venv-bench/log | tail -1)"; done >>.venv-bench/why-not.txt; \
	done
	@touch $@

# What builds notebooks and pages.
.venv-docs/.installed: pyproject.toml constraints.txt
	@rm -f $@
	@$(PYTHON) -m venv --clear .venv-docs
	@echo "Installing into .venv-docs (some minutes)"
	@.venv-docs/bin/python -m pip install --quiet -c constraints.txt torch
	@.venv-docs/bin/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@
