# Every target sets up .venv by itself. SPEC=, OUT=, SET='key=value ...', AGAINST= and PYTHON= override the defaults.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPEC ?= bench/sweeps/digits.toml
OUT ?= results/$(basename $(notdir $(SPEC)))
SET ?=
AGAINST ?= HEAD^
RECORD := build/bench/benchmarks.json
READY := $(VENV)/.ready
PYTEST := $(BIN)/pytest --numprocesses auto --dist loadfile -p no:benchmark

.DEFAULT_GOAL := help
.PHONY: help sweep plots plan test test-all check regress format bench claims docs dist clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "lrbench needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 2; }
	@echo 'setting up $(VENV), once: 3.3 GB to download on Linux, 3.1 GB of it torch with its CUDA libraries, 6.5 GB on disk.'
	@echo 'About 2 minutes on a fast line, 6 at 100 Mbit/s. Nothing else is downloaded, except images that a SPEC asks for, and the tools of docs and dist.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(READY)-%: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

sweep: $(READY) ## run what is missing of SPEC into OUT, and draw its figures
	@echo 'sweeping $(SPEC) into $(OUT): about 5 minutes on two idle cores for the default, whose images are embedded; what is done is kept and skipped next time'
	$(BIN)/lrbench sweep $(SPEC) --out $(OUT) $(foreach pair,$(SET),--set $(pair))

plots: $(READY) ## draw the figures of OUT again, from its tables
	$(BIN)/lrbench plots $(OUT)

plan: $(READY) ## show the trials of SPEC without running them
	$(BIN)/lrbench plan $(SPEC) $(foreach pair,$(SET),--set $(pair))

test: $(READY) ## run the quick tests, one process a core
	@echo 'the quick tests, which download nothing: 7 minutes on two slow and busy cores; make test-all runs the others'
	$(PYTEST) -m 'not long'

test-all: $(READY) ## run the tests that `make test` leaves out: a Ray cluster, kills, a browser, large models
	@echo 'the long tests, which download nothing: up to 40 minutes on two slow and busy cores'
	$(PYTEST) -m long

check: $(READY) ## format, lint, types, floors and the quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

regress: $(READY) ## judge this checkout: swept against bench/baseline, timed in turn with AGAINST
	$(BIN)/lrbench regress --against '$(AGAINST)'

format: $(READY) ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## time what lrbench itself does, each beside a reference; none of those recorded may be missing
	@mkdir -p $(dir $(RECORD))
	$(BIN)/pytest bench --benchmark-json=$(RECORD) --benchmark-group-by=group
	$(BIN)/python bench/ratios.py $(RECORD)
	$(BIN)/lrbench check bench/recorded $(dir $(RECORD))

claims: $(READY) ## print every number of the documents, what it is and where it comes from; fail when one strays
	@$(BIN)/python -m bench.claims

docs: $(READY)-docs ## build the site, with search, into build/site; a link that leads nowhere fails
	$(BIN)/python -m bench.site build/pages
	$(BIN)/python -m sphinx -W --keep-going -q -c bench/site build/pages build/site
	@echo 'open build/site/index.html'

dist: $(READY)-dist ## build sdist and wheel into dist/, check them, and use the wheel in a fresh environment outside
	@echo 'a minute or two; nothing but what the extra `dist` needs is downloaded'
	rm -rf dist
	$(BIN)/python -m build --no-isolation --quiet
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python bench/try_wheel.py dist

clean: ## remove the environment, caches and build files; results/, data/ and cache/ stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
	find lrbench bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
