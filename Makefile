# The two commands are `make up` and `make test`; each does all of its own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find rust/core rust/text rust/py -name '*.rs' -o -name 'Cargo.toml' | grep -v '/target/') Cargo.toml Cargo.lock
SIZE ?= small
# What make fuzz does of each: seconds of a target, documents, objects and operations.
SECONDS ?= 20
COUNT ?= 1000000
TARGETS ?=
HOT_TESTS := tests/unit/json tests/unit/queue tests/unit/frames tests/unit/metrics tests/property/test_threads.py
ARGS ?=
PYTHONS ?= python3.11 python3.12 python3.13
# The build backends look for maturin on the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup up down test test-versions lint fmt bench wheel faults fuzz debug-test soak clean rust-test

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/.locked: requirements/dev.lock scripts/require
	@python=$$(scripts/require) && \
	  { [ -x $(BIN)/python ] || { echo "aisys: making a virtual environment with $$python"; $$python -m venv $(VENV); }; }
	@echo "aisys: installing the locked dependencies"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r requirements/dev.lock
	@touch $@

$(VENV)/.native: $(VENV)/.locked $(RUST_SOURCES) pyproject.toml
	@scripts/require >/dev/null
	@echo "aisys: building the Rust extension (release)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.agents: $(VENV)/.native agents/pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable agents
	@touch $@

setup: $(VENV)/.agents ## virtual environment, release build, both distributions

up: setup ## build if needed, then run the fleet until Ctrl-C
	@$(BIN)/aisys up $(ARGS)

down: setup ## stop a fleet that runs in the background
	@$(BIN)/aisys down $(ARGS)

test: setup ## every test but the long fault, fuzz and soak runs
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-versions: ## the same on each of PYTHONS that is installed, one after the other
	@failed=""; ran=""; for python in $(PYTHONS); do \
	  version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || \
	    { echo "aisys: left out: no $$python here"; continue; }; \
	  echo "aisys: the tests on Python $$version"; \
	  ran="$$ran $$version"; \
	  $(MAKE) --no-print-directory VENV=.venv-$$version AISYS_PYTHON="$$python" test || failed="$$failed $$version"; \
	done; \
	[ -n "$$ran" ] || { echo "aisys: none of $(PYTHONS) is here" >&2; exit 1; }; \
	[ -z "$$failed" ] || { echo "aisys: failed on Python$$failed" >&2; exit 1; }

rust-test: setup ## the tests of the Rust that needs no Python
	@cargo test --quiet -p aisys-core -p aisys-text

lint: setup ## formatting, lints, types, and the stub of the extension against its binary
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m mypy.stubtest aisys._native
	@cargo fmt --all --check
	@cargo fmt --manifest-path rust/fuzz/Cargo.toml --check
	@PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --quiet --all-targets -- -D warnings

fmt: setup ## format everything
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@cargo fmt --all
	@cargo fmt --manifest-path rust/fuzz/Cargo.toml

bench: setup ## every benchmark beside its peers; the raw figures go to .benchmarks/figures.json
	@$(BIN)/python -m benches --json .benchmarks/figures.json $(ARGS)

wheel: setup ## both wheels into dist/
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist . ./agents
	@ls dist

faults: setup ## fault runs: SIZE=small|medium|large
	@$(BIN)/python -m pytest tests/faults --timeout=3600 -o addopts="--strict-markers --import-mode=importlib" --fault-size=$(SIZE) $(ARGS)

fuzz: setup ## SECONDS= of each fuzz target, then the long property, differential, memory and debug runs
	@AISYS_PYTHON_BIN=$(CURDIR)/$(BIN)/python scripts/fuzz -s $(SECONDS) $(TARGETS)
	@HYPOTHESIS_PROFILE=fuzz-$(SIZE) $(BIN)/python -m pytest tests/property --timeout=36000 $(ARGS)
	@PYTHONPATH=tests $(BIN)/python -m support.json_differential --documents $(COUNT) --objects $(COUNT)
	@PYTHONPATH=tests $(BIN)/python -m support.memory $(COUNT)
	@$(MAKE) --no-print-directory debug-test

debug-test: setup ## the hot paths' tests with the debug allocator and -X dev
	@PYTHONMALLOC=debug $(BIN)/python -X dev -m pytest -q --timeout=600 $(HOT_TESTS)

soak: setup ## a fleet under load and faults: SIZE=small|medium|large
	@$(BIN)/python -m benches.soak --size $(SIZE) $(ARGS)

clean: ## remove everything that was built
	@rm -rf $(VENV) .venv-3.* target rust/fuzz/target dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks python/aisys/*.so
	@find python agents tests benches -name __pycache__ -type d -prune -exec rm -rf {} +
