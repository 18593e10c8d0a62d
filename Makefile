# `make demo` and `make test` are the two to know; both set up .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := packages/reseption-models packages/ffpp-prep packages/dfd-train
# One more than there are cores: while a test waits for a process or a clock, another one works.
WORKERS = $(shell $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)')
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help setup demo demo-control test-fast test test-full test-anywhere coverage check packages bench docs clean
help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  —/'

setup: $(VENV)/.ready  ## create .venv with the three packages and all their extras

$(VENV)/.ready: constraints.txt requirements-dev.txt $(PACKAGES:=/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python has no venv: on Debian or Ubuntu run  apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV): about 4 GB to download and 9 GB of disk, mostly PyTorch and TensorFlow."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -r requirements-dev.txt \
		-e 'packages/reseption-models[onnx,hub,timm]' -e 'packages/ffpp-prep[tensorflow,decord,dask,sample]' \
		-e 'packages/dfd-train[c2pa,explain,lora,mlflow,onnx,published,serve,tensorboard,wandb]'
	@touch $@

test-fast: setup ## the tests that take no time; pre-commit runs them before a push
	$(TESTS) -q -m "not full and not slow" --timeout 300

test: setup      ## the tests that every change must pass (a quarter of an hour on 2 cores)
	$(TESTS) -m "not full" --timeout 900

test-full: test  ## every test, the long ones included (three quarters of an hour)
	$(TESTS) -m full --timeout 1800

test-anywhere: setup  ## the tests under conditions that must not matter: one core, one thread, ... (two hours)
	tools/test_anywhere.sh

coverage: setup  ## the tests with the share of branches that they take
	$(BIN)/python -m pytest -m "not full" -n 2 --timeout 1800 --cov --cov-report=term-missing:skip-covered

check: setup     ## format, lint, imports between packages, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

packages: setup  ## build every package and try each alone in fresh environments
	tools/check_packages.sh

bench: demo      ## all benchmarks into docs/benchmarks.md, one after another: let nothing else run
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/bench lime facenet-pytorch
	PYTHONPATH=$(VENV)/bench $(BIN)/python tools/bench.py

demo: setup      ## the whole path on sample footage: scan, boxes, extract, train, evaluate, report
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo.sh demo-output

demo-control: demo  ## the same training with shuffled labels, three seeds: what comes out should be chance
	@for seed in 0 1 2; do \
		$(BIN)/dfd-train run --config tools/demo.toml --data demo-output/work --out demo-output/control-$$seed \
			--shuffle-labels --seed $$seed && \
		$(BIN)/dfd-train evaluate demo-output/control-$$seed --split test || exit; \
	done

docs: setup      ## the documentation site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:           ## remove what the targets above made
	rm -rf $(VENV) demo-output site
