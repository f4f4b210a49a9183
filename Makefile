# One command for each chore. Everything is installed into .venv.
PYTHON ?= python3
RECIPE ?= contacts
PORT ?= 8000
BIN := .venv/bin

AXE := build/npm/node_modules/axe-core/axe.min.js

.PHONY: help run test matrix browser bench figures docs tables format clean

help:            ## List the chores
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

run: .venv/.app          ## Serve recipes/$(RECIPE) on http://127.0.0.1:$(PORT)
	@cd recipes/$(RECIPE) && PORT=$(PORT) ../../$(BIN)/kit run

test: .venv/.dev         ## Check everything: lint, types, layers, tests, docs, wheel
	@$(BIN)/python tests/check.py

matrix: .venv/.dev      ## Run every recipe on every two components, on SQLite and database servers
	@$(BIN)/python tests/matrix.py $(RECIPES)

browser: .venv/.dev $(AXE)  ## Use recipes in a real browser (needs chromium and npm)
	@$(BIN)/python -m pytest -q tests/browser

bench: .venv/.dev        ## Measure beside other frameworks, and on servers (needs wrk)
	@$(BIN)/python tests/benchmarks

figures: .venv/.dev      ## Measure, and write the page of figures anew
	@mkdir -p build
	@$(BIN)/python tests/benchmarks --json build/figures.json
	@$(BIN)/python tests/benchmarks/report.py build/figures.json > docs/reference/generated/figures.md

docs: .venv/.dev         ## Build the documentation into docs/_build
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build

tables: .venv/.dev       ## Write the generated pages of the documentation anew
	@$(BIN)/python docs/generate.py

format: .venv/.dev       ## Format the code, and mend what the linter can mend
	@$(BIN)/ruff check -q --fix .
	@$(BIN)/ruff format -q .

clean:           ## Remove everything that was installed or made
	@rm -rf .venv build dist docs/_build .coverage* .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(AXE): tests/browser/package.json
	@mkdir -p build/npm
	@cp $< build/npm/
	@npm install --prefix build/npm --no-audit --no-fund --loglevel=error
	@touch $@

.venv/.pip:
	@echo "Making .venv ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Framekit needs Python 3.11 or newer, this is " + sys.version)'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -q --disable-pip-version-check --upgrade "pip>=25.1"
	@touch $@

.venv/.app: .venv/.pip pyproject.toml
	@echo "Installing Framekit and its components ..."
	@$(BIN)/pip install -q --disable-pip-version-check -e ".[all]"
	@touch $@

.venv/.dev: .venv/.app
	@echo "Installing what the tests need ..."
	@$(BIN)/pip install -q --disable-pip-version-check -e ".[bench]" --group dev
	@touch $@
