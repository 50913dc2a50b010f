.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
C_SOURCES := $(addprefix src/leverframe/,serving/runtimes/trees.c features/rows/numbering.c features/timelines/newest.c features/timelines/sweep.c)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo up test test-slow check bench lock clean

help: ## Show what can be made
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/platform.stamp: requirements/platform.txt requirements/build.txt pyproject.toml hatch_build.py $(C_SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the platform (about a minute)"
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/build.txt -r requirements/platform.txt
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/platform.stamp
	@echo "installing the test tools and services"
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/platform.stamp ## Install, then run the whole ring on real flights
	@$(BIN)/lever demo

up: $(VENV)/platform.stamp ## Install, then start control API, console, worker and gateway on this machine
	@$(BIN)/lever up

test: $(VENV)/dev.stamp ## Install, then run the tests against real PostgreSQL, Redis, NATS and S3 services
	@$(BIN)/python -m pytest

test-slow: $(VENV)/dev.stamp ## The long fault, load and browser suites
	@$(BIN)/python -m pytest -m slow --timeout 1800

check: $(VENV)/dev.stamp ## Format, lint, strict types, import contracts
	@$(BIN)/ruff format --check src tests benchmarks
	@$(BIN)/ruff check src tests benchmarks
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/dev.stamp ## Every benchmark against its peer, in the same run
	@$(BIN)/python -m benchmarks

bench-%: $(VENV)/dev.stamp ## One benchmark, for instance bench-serving
	@$(BIN)/python -m benchmarks $*

lock: ## Re-lock the requirement files
	@requirements/compile.sh

clean: ## Remove the environment and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
