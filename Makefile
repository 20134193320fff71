# Everything a fresh machine with Python 3.11+ needs: `make run`, `make test`.
# Linux users without a GPU: make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := .ci/constraints.txt

.PHONY: run install check test clean

run: $(VENV)/.installed
	$(BIN)/annotation-budget serve

install: $(VENV)/.installed-dev

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(TESTS)

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q pip==26.3

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
ifneq ($(TORCH_INDEX),)
	$(PIP) install -q --index-url $(TORCH_INDEX) torch==2.13.0
endif
	$(PIP) install -q -c $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -q -c $(CONSTRAINTS) --group test --group lint
	touch $@
