# Each target is one readable command. `make demo` and `make test` need only Python 3.11 or newer with venv, and make.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: .venv/.base  ## hold a conversation with the simulator and print the tables it leaves behind
	@$(BIN)/socketnb demo

lab: .venv/.lab  ## open the notebooks in JupyterLab
	@$(BIN)/socketnb lab notebooks

test: .venv/.dev  ## run every test, including those in a browser and in a kernel
	@$(BIN)/python tests/provide.py
	@$(BIN)/pytest -n auto --dist loadgroup

check: .venv/.dev  ## check format, lint, types, and the import contracts between the layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/.dev  ## format the code and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: .venv/.dev  ## write the generated tables into docs/*.md
	$(BIN)/python docs/generate.py

notebooks: .venv/.dev  ## run the notebooks and save them with static output
	$(BIN)/python tests/notebooks.py notebooks/*.ipynb

pictures: .venv/.dev  ## take the pictures in docs/ from the real panel
	$(BIN)/python tests/pictures.py

bench: .venv/.dev  ## time recording, frames and the panel at a million traces
	@$(BIN)/python benchmarks/recording.py
	@$(BIN)/python benchmarks/panel.py

mutants: .venv/.dev  ## plant 200 small faults in the code and print which ones the tests miss (ARGS=--help)
	@$(BIN)/python tools/mutants.py $(ARGS)

release: .venv/.dev  ## build VERSION=x.y.z and test the built wheel in a clean environment (ARGS=--quick)
	@$(BIN)/python tools/release.py "$(VERSION)" $(ARGS)

# .base has what users get, .lab adds JupyterLab, .dev adds what the tests need.
.venv/.base: EXTRA =
.venv/.lab: EXTRA = [lab]
.venv/.dev: EXTRA = [dev]
.venv/.base .venv/.lab .venv/.dev: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "socketnb needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@echo "Setting up .venv for socketnb$(EXTRA). This takes about a minute, and is repeated only when dependencies change."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.$(EXTRA)'
	@touch $@

.PHONY: help demo lab test check format docs notebooks pictures bench mutants release
