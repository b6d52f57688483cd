# Each target is one readable command. `make demo` and `make test` need Python 3.11+, its venv, and make: no more.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: .venv/.base  ## a conversation with the simulator, and what it leaves behind
	@$(BIN)/socketnb demo

lab: .venv/.lab  ## the notebooks, in JupyterLab
	@$(BIN)/socketnb lab notebooks

test: .venv/.dev  ## every test, those with a browser and a kernel too
	@$(BIN)/python tests/provide.py
	@$(BIN)/pytest -n auto --dist loadgroup

bench: .venv/.dev  ## recording and frames at a million traces, and the panel, each beside a peer
	@$(BIN)/python benchmarks/recording.py
	@$(BIN)/python benchmarks/panel.py

check: .venv/.dev  ## format, lint, types, and the contracts between the layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/.dev  ## bring the code into form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

notebooks: .venv/.dev  ## run the notebooks and save them with static output
	$(BIN)/python tests/notebooks.py notebooks/*.ipynb

pictures: .venv/.dev  ## the README's pictures, from the real panel
	$(BIN)/python tests/pictures.py

# base: what users get · lab: with JupyterLab · dev: with what tests need
.venv/.base: EXTRA =
.venv/.lab: EXTRA = [lab]
.venv/.dev: EXTRA = [dev]
.venv/.base .venv/.lab .venv/.dev: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "socketnb needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@echo "Setting up .venv for socketnb$(EXTRA): about a minute the first time, not again until dependencies change"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.$(EXTRA)'
	@touch $@

.PHONY: help demo lab test bench check format notebooks pictures
