# Everything a fresh machine with Python 3.11+ needs: `make run`, `make test`.
# Linux users without a GPU: make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := .ci/constraints.txt

.PHONY: run install check test unit e2e clean

run: $(VENV)/.installed
	$(BIN)/annotation-budget serve

install: $(VENV)/.installed-dev

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

test: unit e2e

# Each worker has a Postgres of its own.
unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not e2e" --numprocesses 2

# Whole services, one after the other.
e2e: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m e2e

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q pip==26.3

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
ifneq ($(TORCH_INDEX),)
	$(PIP) install -q --no-deps --index-url $(TORCH_INDEX) torch==2.13.0
endif
	$(PIP) install -q -c $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -q -c $(CONSTRAINTS) --group test --group lint
	touch $@
