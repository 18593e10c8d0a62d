# `make demo` and `make test` are the two to know; both set up .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := packages/reseption-models packages/ffpp-prep packages/dfd-train

.PHONY: help setup demo demo-control test check clean
help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  —/'

setup: $(VENV)/.ready  ## create .venv with the three packages and all their extras

$(VENV)/.ready: constraints.txt requirements-dev.txt $(PACKAGES:=/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python has no venv: on Debian or Ubuntu run  apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV): about 6 GB, mostly PyTorch and TensorFlow."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -r requirements-dev.txt \
		-e packages/reseption-models -e 'packages/ffpp-prep[tensorflow,decord,dask,sample]' -e packages/dfd-train
	@touch $@

test: setup      ## the tests (under 25 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not full" -n 2 --timeout 900

check: setup     ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: setup      ## the whole path on sample footage: scan, boxes, extract, train, evaluate, report
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo.sh demo-output

demo-control: demo  ## the same training with shuffled labels: what comes out should be chance
	$(BIN)/dfd-train run --config tools/demo.toml --data demo-output/work --out demo-output/control --shuffle-labels
	$(BIN)/dfd-train evaluate demo-output/control --split test

clean:           ## remove what the targets above made
	rm -rf $(VENV) demo-output
