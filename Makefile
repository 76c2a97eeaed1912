# Everything a person or a machine does with this project. `make help` lists it.
# Stamp files make repeated runs fast: a step runs again when the file it depends on changed.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PAGE   := gateway/graphiql/page
ASSETS := gateway/graphiql/assets
CLIENTS := tests/clients
CODE   := schema gateway tests scripts

# The tests start many processes: each would compile the whole of the gateway anew.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
PIP := $(BIN)/python -m pip

##@ Run
.PHONY: serve setup page page-if-node
serve: $(VENV)/.installed page-if-node ## Set up what is missing and start the gateway (ARGS="--port 9000" for more)
	exec $(BIN)/d365-graphql serve $(ARGS)

setup: $(VENV)/.installed ## The virtual environment with the locked dependencies (first time: about half a minute)
	@echo "Set up: $(VENV) is up to date. Next: make serve."

page: $(ASSETS)/index.html ## Build the GraphiQL page (needs Node 20 or newer)

page-if-node:
	@if scripts/has-node; then $(MAKE) page; \
	else echo "The plain GraphiQL page is served instead; for the full one install Node 20+ and run 'make page'."; fi

##@ Check
.PHONY: hostile test test-setup chromium test-clients clients clients-if-node lint format catalogue bench bench-quick
test: ## Everything CI checks: lint, types, tests with coverage, the page in a browser, other people's clients
	$(MAKE) --jobs=3 --output-sync=target test-setup lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(ARGS)

# On a developer's machine a missing browser or Node skips its tests; in CI (CI=true) it is an error.
# Networks and processors are busy in turn: what does not need the other is done beside it.
test-setup: $(VENV)/.installed-dev chromium $(if $(CI),page clients,page-if-node clients-if-node)

chromium:
	@scripts/ensure-chromium

test-clients: $(VENV)/.installed-dev clients ## What other people's clients say of the gateway (needs Node 20 or newer)
	$(BIN)/python -m pytest $(CLIENTS) $(ARGS)

clients: $(CLIENTS)/node_modules/.package-lock.json

clients-if-node:
	@if scripts/has-node; then $(MAKE) clients; fi

hostile: $(VENV)/.installed-dev ## Hostile callers and upstreams with ever new seeds (MINUTES=30; HOSTILE_SEED=n begins with one)
	HOSTILE_MINUTES=$(or $(MINUTES),30) $(BIN)/python -m pytest tests/hostile $(ARGS)

lint: $(VENV)/.installed-dev ## ruff, formatting, mypy strict
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Format and apply ruff's safe fixes
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.installed-dev ## Benchmarks beside what was promised (ARGS="--json FILE load memory" for parts, as JSON too)
	$(BIN)/python tests/bench/run.py $(ARGS)

CATALOGUE ?= finance.xml.gz
catalogue: $(VENV)/.installed-dev ## Write a metadata document of 3,868 entity sets to try things with (CATALOGUE=FILE.xml[.gz])
	@$(BIN)/python -m tests.catalogue $(CATALOGUE)

bench-quick: $(VENV)/.installed-dev ## The same with fewer rounds: less than two minutes on two free cores
	$(BIN)/python tests/bench/run.py --quick $(ARGS)

##@ Maintain
.PHONY: lock clean help
# No file of a lock names a registry: where packages come from is the machine's setting.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile pyproject.toml --quiet --strip-extras \
	--generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(BIN)/pip-compile ## Write the lock files anew (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) --build-deps-for editable --output-file requirements.lock
	$(COMPILE) $(UPGRADE) --build-deps-for editable --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	if scripts/has-node; then for folder in $(PAGE) $(CLIENTS); do \
	  (cd "$$folder" && npm install --package-lock-only --no-fund --no-audit); done; fi
	! grep -nE '(https?|file):/|(^|[^.])/(home|root|opt|work)/' requirements.lock requirements-dev.lock
	! grep -n '"resolved": "http' $(PAGE)/package-lock.json $(CLIENTS)/package-lock.json

clean: ## Remove everything that can be made again
	rm -rf $(VENV) .cache/metadata $(ASSETS) $(PAGE)/node_modules $(CLIENTS)/node_modules .mypy_cache .ruff_cache .pytest_cache .coverage .coverage.*
	find schema gateway tests -name __pycache__ -prune -exec rm -rf {} +

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- the files behind the targets ---

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed (try: make PYTHON=python3.12 …)"; exit 1; }
	@echo "Making the virtual environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

# A lock names all that is needed, hatchling for the editable install among it: nothing is resolved, nothing else fetched.
INSTALL := $(PIP) install -qq --no-deps
COUNT = $$(grep -c '==' $<)
$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing $(COUNT) locked packages into $(VENV): half a minute, less where pip has them in its cache …"
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@echo "Installing the gateway …"
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

# The lock for developers holds the other one: it is installed alone.
$(VENV)/.installed-dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing $(COUNT) locked packages into $(VENV), those for tests among them: about a minute …"
	@$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@echo "Installing the gateway …"
	@$(INSTALL) --no-build-isolation --editable .
	@touch $(VENV)/.installed $@

# A lock can be made without one: pip-tools itself then comes unlocked.
$(BIN)/pip-compile: | $(BIN)/python
	$(PIP) install -qq 'pip-tools>=7.5'

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@scripts/has-node --explain
	@echo "Installing the npm packages of $* …"
	cd $* && npm ci --no-fund --no-audit --loglevel=error
	touch $@

$(ASSETS)/index.html: $(PAGE)/node_modules/.package-lock.json $(wildcard $(PAGE)/*.mjs $(PAGE)/src/* $(PAGE)/*.json)
	@scripts/has-node --explain
	cd $(PAGE) && node build.mjs
