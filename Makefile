# Everything that is done with this project, each in a virtual environment of its own.
# Needs make and Python 3.11 or newer; the rest is installed by pip at first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One set of versions for everything, the ones that were tested. torch goes first and by
# itself, as a range would let pip choose a build with several GB of CUDA libraries.
CONSTRAINTS := constraints.txt
EXTRA := dev
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check $(UPGRADE)
PIP += $(addprefix --constraint ,$(CONSTRAINTS))
# A process for each core; tests go to whichever is free. Products of small matrices lose
# time by threads that wait for one another.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal
SPHINXOPTS ?=
# Mutants of each group; 0 is all of them.
SAMPLE ?= 0

# Weights come from installed packages: nothing here may ask a hub for them.
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false
# Threads that wait sleep instead of spinning: where other processes want the cores too,
# training took a third of the time.
export OMP_WAIT_POLICY = PASSIVE

# Interpreters of the two ends, unless PYTHON is given: pyenv's count too.
OLDEST_PYTHON = $(if $(filter file,$(origin PYTHON)),python3.11,$(PYTHON))
NEWEST_PYTHON = $(if $(filter file,$(origin PYTHON)),$(FOUND_PYTHON),$(PYTHON))
FOUND_PYTHON = $(shell for n in 14 13 12 11; do \
  for p in python3.$$n "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$$n.*/bin/python; do \
    $$p -c "" 2>/dev/null && echo $$p && exit; done; done)

.PHONY: help demo test test-fast test-oldest test-newest coverage check attacks mutants bench docs clean
.NOTPARALLEL:

help:
	@echo "make demo       compare transfer strategies on real reviews (under 5 minutes)"
	@echo "make test       everything that has to hold: make check, then the tests"
	@echo "make test-fast  the tests but for those marked real or slow"
	@echo "make test-oldest, make test-newest"
	@echo "                the same with the oldest supported releases of other packages,"
	@echo "                and with the newest; several GB of torch for CUDA come along"
	@echo "make coverage   all tests, and which lines and branches they reach"
	@echo "make check      style, types and the direction of imports"
	@echo "make attacks    damage, kill and forge, for hours; the table is in tests/attacks/"
	@echo "make mutants    change the code place by place, for hours, and see that tests"
	@echo "                notice; make mutants SAMPLE=60 tries so many of each group"
	@echo "make bench      measure, and write the tables in benchmarks/"
	@echo "make docs       build the documentation into docs/_build/html"
	@echo "make clean      remove what the others made, but for $(VENV)"

demo: $(VENV)/.dev
	$(BIN)/python examples/plot_strategies.py

test: check
	$(PYTEST)

test-fast: $(VENV)/.dev
	$(PYTEST) -m "not real and not slow"

# The lower bounds of pyproject.toml, which constraints-oldest.txt lists.
test-oldest:
	@$(MAKE) --no-print-directory test-fast PYTHON=$(OLDEST_PYTHON) VENV=.venv-oldest \
	  CONSTRAINTS=constraints-oldest.txt EXTRA=test

# Whatever the registry gives today.
test-newest:
	@rm -f .venv-newest/.dev
	@$(MAKE) --no-print-directory test-fast PYTHON=$(NEWEST_PYTHON) VENV=.venv-newest \
	  CONSTRAINTS= EXTRA=test UPGRADE="--upgrade --upgrade-strategy eager"

# Following each line takes a fifth longer, and more beside other work: not in every run.
coverage: $(VENV)/.dev
	$(PYTEST) --cov --cov-branch

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

attacks: $(VENV)/.dev
	@for script in tests/attacks/*_attack.py; do echo "$$script"; \
	  $(BIN)/python $$script || exit 1; done
	$(BIN)/python tests/attacks/table.py
	SKTRANSFER_PROPERTIES=20 $(BIN)/python -m pytest tests/test_properties.py

mutants: $(VENV)/.mutants
	$(BIN)/python tests/mutants/run.py --sample $(SAMPLE)
	$(BIN)/python tests/mutants/table.py

bench: $(VENV)/.bench
	@for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -b html $(SPHINXOPTS) docs docs/_build/html

clean:
	rm -rf build dist demo htmlcov .coverage* docs/_build docs/gallery docs/generated
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find sktransfer tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

# A file in the environment says that it is complete; it is stale as soon as one of the
# two files that decide what is installed has changed.
$(VENV)/.dev: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
	  echo "$$($(PYTHON) --version) is too old, and 3.11 or newer is needed: make PYTHON=python3.12"; \
	  exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version); at first this takes minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch (1 of 3)"
	@$(PIP) torch
	@echo "Installing the build backend (2 of 3)"
	@$(PIP) hatchling editables
	@echo "Installing sktransfer and what its tests need (3 of 3)"
	@$(PIP) --no-build-isolation --editable '.[$(EXTRA)]'
	@touch $@

$(VENV)/.mutants: $(VENV)/.dev
	@echo "Installing what changes the code"
	@$(PIP) --no-build-isolation --editable '.[mutants]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	@echo "Installing what the documentation needs"
	@$(PIP) --no-build-isolation --editable '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing what the benchmarks compare with"
	@$(PIP) --no-build-isolation --editable '.[bench]'
	@touch $@
