# Set-up happens by itself: every target that needs the environment builds it first, and only when what it is made of changed.

PYTHON ?= python3 python3.13 python3.12 python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.built
# Tests mostly wait for servers, so more of them than cores run at once. Files go in the order of their folders: those with few
# tests are the long ones, and would otherwise be left for the end, one beside the other.
JOBS   ?= 3
CODE   := $(wildcard oms replay tests benchmarks docs)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help build demo demo-all test bench run run-nats fmt lint clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@echo '  PYTHON=python3.12  chooses the interpreter that makes the environment (3.11 to 3.13)'

build: $(STAMP) ## create or renew the environment in .venv
	@:

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  for python in $(PYTHON); do \
	    "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	    "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	    exit 0; \
	  done; \
	  echo 'Python 3.11, 3.12 or 3.13 is needed, but none of these is one: $(PYTHON). Name yours: make PYTHON=/path/to/python' >&2; \
	  exit 1; }
	@echo 'Installing into $(VENV), once …'
	@$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[dev]'
	@touch $@

demo: build ## show the whole system at work, in under 30 seconds
	@$(BIN)/oms demo

demo-all: build ## show every market of every exchange at once, with faults, in a minute
	@$(BIN)/oms demo --exchange all

test: build ## run the tests, JOBS=3 files at once; ARGS="-k name" goes to pytest
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: build ## measure, and print the figures as a table
	@$(BIN)/python -m benchmarks $(ARGS)

run: build ## start everything with the default configuration, until Ctrl-C
	@$(BIN)/oms up $(ARGS)

run-nats: build ## start nats-server alone, as in production
	@mkdir -p data/nats
	@exec $(BIN)/nats-server -c configs/nats-server.conf

fmt: build ## format the code and mend what the linter can
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lint: build ## check style, formatting and types
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy

clean: ## remove the environment and every cache, but never data/
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
