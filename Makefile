# Everything a fresh machine with Python 3.11 or newer needs. `make help` lists it.
#
# TORCH_INDEX: where torch comes from; empty means where pip looks anyway. The README names
# PyTorch's index of CPU builds, which saves gigabytes on Linux without a GPU.
# PYTEST_ARGS: more words for pytest, such as a folder: make unit PYTEST_ARGS=tests/annotation
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
PYTEST_ARGS ?=
LOCK_ARGS ?=
BIN := $(VENV)/bin
INSTALL := $(BIN)/python .ci/run_uv.py pip install --python $(BIN)/python -q
CONSTRAINTS := .ci/constraints.txt
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)
# Two workers on two cores: more threads in each would only get in each other's way.
TWO_WORKERS := --numprocesses 2
quick unit coverage lowest test-postgres: export OMP_NUM_THREADS ?= 1
# uv leaves it to the first import to compile a package. Where that is not kept, as in many images,
# every process compiles anew, which takes some ten seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run install format check quick test unit e2e coverage lowest test-postgres lock pictures clean

help:  ## List these commands
	@grep -E '^[a-z0-9-]+:.*  ## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*  ## /\t/' \
	  | awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: $(VENV)/.installed  ## Install and start the service on this machine
	$(BIN)/annotation-budget serve

install: $(VENV)/.installed-dev  ## Set up everything for development in .venv

format: $(VENV)/.installed-dev  ## Format the code and apply the linter's safe fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

check: $(VENV)/.installed-dev  ## Formatting, linter, types, imports, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

quick: $(VENV)/.installed-dev  ## The tests that need no database, in seconds
	$(PYTEST) -m quick $(TWO_WORKERS)

test: unit e2e  ## All tests

unit: $(VENV)/.installed-dev  ## Tests of the parts; each worker has a PostgreSQL of its own
	$(PYTEST) -m "not e2e" $(TWO_WORKERS) --durations 15

e2e: $(VENV)/.installed-dev chromium  ## Tests of whole services, one after the other
	$(PYTEST) -m e2e --durations 15

# The tests of pages need a Chromium. Root gets one; without one they are skipped, or fail under CI.
chromium:
	@$(foreach name,chromium chromium-browser google-chrome,command -v $(name) >/dev/null ||) \
	  [ "$$(id -u)" != 0 ] \
	  || { apt-get -qq update && apt-get -qq -y --no-install-recommends install chromium; } || true

# What follows is run by hand, not by CI.

coverage: $(VENV)/.installed-dev  ## By hand: unit tests with the coverage of app/
	$(PYTEST) -m "not e2e" $(TWO_WORKERS) --cov --cov-report term:skip-covered --cov-report html

lowest: $(VENV)/bin/uv  ## By hand: unit tests with the lowest versions allowed
	mkdir -p build
	$(BIN)/python .ci/compile.py build/lowest.txt --resolution lowest-direct
	$(MAKE) unit VENV=build/lowest CONSTRAINTS=build/lowest.txt

test-postgres: $(VENV)/.installed-dev  ## By hand: unit tests on PostgreSQL 15 and 16
	$(BIN)/python .ci/test_postgres.py 15 16 -- $(PYTEST_ARGS)

lock: $(VENV)/bin/uv  ## By hand: renew .ci/constraints.txt (LOCK_ARGS=--upgrade: newest)
	$(BIN)/python .ci/compile.py $(CONSTRAINTS) $(LOCK_ARGS)

pictures: $(VENV)/.installed-dev chromium  ## By hand: draw the README's pictures anew
	$(BIN)/python .ci/pictures.py

clean:  ## Remove what these commands have made
	rm -rf $(VENV) build dist htmlcov .coverage

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --disable-pip-version-check install -q uv==0.13.9

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/uv
ifneq ($(TORCH_INDEX),)
	$(INSTALL) --no-deps --index-url $(TORCH_INDEX) torch==2.13.0
endif
	$(INSTALL) -c $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) -c $(CONSTRAINTS) --group test --group lint
	touch $@
