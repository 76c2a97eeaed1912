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
SPARK  := clients/spark
TYPESCRIPT := clients/typescript
SPARK_VENV ?= .venv-spark
CODE   := schema gateway tests scripts docs clients examples

# The tests start many processes: each would compile the whole of the gateway anew.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
PIP := $(BIN)/python -m pip

##@ Run
.PHONY: serve setup page page-if-node
serve: $(VENV)/.installed page-if-node ## Set up what is missing and start the gateway (ARGS="--port 9000" for more)
	exec $(BIN)/d365-graphql serve $(ARGS)

setup: $(VENV)/.installed ## The virtual environment with the locked dependencies (first time: some seconds)
	@echo "Set up: $(VENV) is up to date. Next: make serve."

page: $(ASSETS)/index.html ## Build the GraphiQL page (needs Node 20 or newer)

page-if-node:
	@if scripts/has-node; then $(MAKE) page; \
	else echo "The plain GraphiQL page is served instead; for the full one install Node 20+ and run 'make page'."; fi

##@ Check (check before a commit, fast while you work, test before you push, soak before a release)
.PHONY: check check-tables fast test soak hostile lint docs format test-python test-programs test-clients test-spark spark-if-java chromium postgresql redis prometheus nginx java clients clients-if-node
PYTEST := $(BIN)/python -m pytest
# Files are dealt out whole, so that what a module shares is made once. Some tests wait: two cores are busy with three processes.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder
# What starts browsers and Node, or builds wheels. It waits more than it computes.
PROGRAMS := tests/browser tests/clients tests/examples tests/test_wheel.py

check: ## What a commit needs, in seconds: lint, types, layers, documentation, tables
	+$(MAKE) --jobs=3 --output-sync=target lint docs check-tables

check-tables: $(VENV)/.installed-dev
	$(PYTEST) --quiet --no-header tests/test_architecture.py tests/test_makefile.py tests/test_dockerfile.py \
	  tests/test_readme.py tests/docs --ignore=tests/docs/test_site.py $(ARGS)

# Left to "make test": whole catalogues, what computes for seconds and what starts a process.
fast: $(VENV)/.installed-dev ## The unit tests that do not compute for long and start no process
	$(PYTEST) $(PARALLEL) -m "not heavy and not catalogue and not slow" tests/unit $(ARGS)

test: ## Everything CI checks: lint, types, tests with coverage, the page in a browser, other people's clients, Spark
	@# Python's tests need no npm package: they begin while those are fetched.
	+$(MAKE) --jobs=4 --output-sync=target lint test-python test-programs test-spark SPARK_AFTER=test-programs

test-python: $(VENV)/.installed-dev postgresql redis prometheus nginx
	+$(PYTEST) $(PARALLEL) --cov --cov-report=term $(addprefix --ignore=,$(PROGRAMS)) $(ARGS)

# On a developer's machine a missing browser or Node skips its tests; in CI (CI=true) it is an error.
test-programs: $(VENV)/.installed-dev chromium $(if $(CI),page clients,page-if-node clients-if-node)
	$(PYTEST) $(PROGRAMS) $(ARGS)

soak: $(VENV)/.installed-dev postgresql redis prometheus nginx ## All of it without bounds: long random runs, whole-size sweeps, full matrices (MINUTES=30)
	SOAK=1 HOSTILE_MINUTES=$(or $(MINUTES),30) $(PYTEST) $(PARALLEL) $(addprefix --ignore=,$(PROGRAMS)) $(ARGS)

test-clients: $(VENV)/.installed-dev clients ## What other people's clients say of the gateway (needs Node 20 or newer)
	$(PYTEST) $(CLIENTS) $(ARGS)

# PySpark is 456 MB, in a lock and an environment of its own; without Java it is not fetched.
spark-if-java: java
	@if scripts/has-java; then $(MAKE) $(SPARK_VENV)/.installed; fi

# Spark waits ten seconds at most for a process to start, which beside all the others may take longer: it comes after them.
test-spark: $(VENV)/.installed-dev spark-if-java $(SPARK_AFTER) ## The data source for Spark, in executors of their own (needs Java 17 or newer)
	@if scripts/has-java; then \
	  cd $(SPARK) && GATEWAY_PROGRAM=$(abspath $(BIN)/d365-graphql) $(abspath $(SPARK_VENV))/bin/python -m pytest $(ARGS); fi

hostile: $(VENV)/.installed-dev ## Hostile callers and upstreams with ever new seeds (MINUTES=30; HOSTILE_SEED=n begins with one)
	HOSTILE_MINUTES=$(or $(MINUTES),30) $(PYTEST) tests/hostile $(ARGS)

chromium:
	@scripts/ensure-chromium

postgresql:
	@scripts/ensure-postgresql

redis:
	@scripts/ensure-redis

nginx:
	@scripts/ensure-nginx

java:
	@scripts/ensure-java

prometheus:
	@scripts/ensure-prometheus

clients: $(CLIENTS)/node_modules/.package-lock.json

clients-if-node:
	@if scripts/has-node; then $(MAKE) clients; fi

lint: $(VENV)/.installed-dev ## ruff, formatting, mypy: strict for the gateway, checked bodies for the tests
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

# A link, setting, error code or file that does not exist ends the build.
docs: $(VENV)/.installed-dev ## Build the documentation into docs/_build/site (strict: any warning is an error)
	$(BIN)/python -m sphinx -W --keep-going -q -E docs docs/_build/site
	@echo "Built: docs/_build/site/index.html"

format: $(VENV)/.installed-dev ## Format and apply ruff's safe fixes
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

##@ Measure
.PHONY: bench bench-quick catalogue
bench: $(VENV)/.installed-dev ## Benchmarks beside what was promised (ARGS="--json FILE load memory" for parts, as JSON too)
	$(BIN)/python tests/bench/run.py $(ARGS)

CATALOGUE ?= finance.xml.gz
catalogue: $(VENV)/.installed-dev ## Write a metadata document of 3,868 entity sets to try things with (CATALOGUE=FILE.xml[.gz])
	@$(BIN)/python -m tests.catalogue $(CATALOGUE)

bench-quick: $(VENV)/.installed-dev ## The same with fewer rounds: less than two minutes on two free cores
	$(BIN)/python tests/bench/run.py --quick $(ARGS)

##@ Maintain
.PHONY: lock audit record release typescript-client clean help
# No file of a lock names a registry: where packages come from is the machine's setting.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --strip-extras \
	--generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(BIN)/pip-compile ## Write the lock files anew (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) --build-deps-for editable --extra postgres --extra redis --extra parquet --extra object-store --extra otel --extra scim --output-file requirements.lock pyproject.toml
	$(COMPILE) $(UPGRADE) --build-deps-for editable --extra postgres --extra redis --extra parquet --extra object-store --extra otel --extra scim --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(UPGRADE) --extra test --output-file $(SPARK)/requirements.lock $(SPARK)/pyproject.toml
	echo uv | $(COMPILE) $(UPGRADE) --no-annotate --output-file scripts/installer.lock -
	if scripts/has-node; then for folder in $(PAGE) $(CLIENTS) $(TYPESCRIPT); do \
	  (cd "$$folder" && npm install --package-lock-only --no-fund --no-audit); done; fi
	! grep -nE '(https?|file):/|(^|[^.])/(home|root|opt|work)/' requirements.lock requirements-dev.lock $(SPARK)/requirements.lock scripts/installer.lock
	! grep -n '"resolved": "http' $(PAGE)/package-lock.json $(CLIENTS)/package-lock.json $(TYPESCRIPT)/package-lock.json

audit: $(VENV)/.installed-dev ## Known vulnerabilities in the packages of all locks; says so if no advisory service answers
	$(BIN)/python scripts/audit.py

record: $(VENV)/.installed-dev ## What this version leaves behind, for tests of the next ones: before a release (ARGS=--again)
	$(BIN)/python scripts/record_release.py $(ARGS)

release: $(VENV)/.installed-dev page $(TYPESCRIPT)/dist/index.js ## The files of a release with checksums, in dist/VERSION (ARGS=--draft before the changelog has its section)
	$(BIN)/python scripts/release.py $(ARGS)

typescript-client: $(TYPESCRIPT)/dist/index.js ## Build the package of the TypeScript client into dist (needs Node 20 or newer)
	@mkdir -p dist
	cd $(TYPESCRIPT) && npm pack --silent --pack-destination ../../dist

clean: ## Remove everything that can be made again
	rm -rf $(VENV) $(SPARK_VENV) docs/_build .cache/metadata $(ASSETS) $(PAGE)/node_modules $(CLIENTS)/node_modules $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/dist .mypy_cache .ruff_cache .pytest_cache .coverage .coverage.*
	find schema gateway tests clients examples -name __pycache__ -prune -exec rm -rf {} +

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- the files behind the targets ---

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed (try: make PYTHON=python3.12 …)"; exit 1; }
	@echo "Making the virtual environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

COUNT = $$(grep -c '==' $<)
$(VENV)/.installed: requirements.lock pyproject.toml scripts/installer.lock | $(BIN)/python
	@echo "Installing $(COUNT) locked packages and the gateway into $(VENV): some seconds …"
	@scripts/install-locked $(VENV) $< --compile-bytecode
	@touch $@

# The lock for developers holds the other one: it is installed alone. What tests import is compiled when they do.
$(VENV)/.installed-dev: requirements-dev.lock requirements.lock pyproject.toml scripts/installer.lock | $(BIN)/python
	@echo "Installing $(COUNT) locked packages and the gateway into $(VENV), those for tests among them: some seconds …"
	@scripts/install-locked $(VENV) $<
	@touch $(VENV)/.installed $@

# PySpark has no wheel. One that is not compressed takes a third of the time to build.
$(SPARK_VENV)/.installed: $(SPARK)/requirements.lock scripts/installer.lock
	@echo "Installing $(COUNT) locked packages, PySpark among them, into $(SPARK_VENV): a minute …"
	@$(PYTHON) -m venv $(SPARK_VENV)
	@GATEWAY=no scripts/install-locked $(SPARK_VENV) $< --build-constraint $< \
	  --config-setting='--build-option=--compression=stored'
	@touch $@

# A lock can be made without one: pip-tools itself then comes unlocked.
$(BIN)/pip-compile: | $(BIN)/python
	$(PIP) install -qq 'pip-tools>=7.5'

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@scripts/has-node --explain
	@echo "Installing the npm packages of $* …"
	cd $* && npm ci --no-fund --no-audit --loglevel=error
	touch $@

$(TYPESCRIPT)/dist/index.js: $(TYPESCRIPT)/node_modules/.package-lock.json $(wildcard $(TYPESCRIPT)/src/*.ts) $(TYPESCRIPT)/tsconfig.json
	@scripts/has-node --explain
	rm -rf $(TYPESCRIPT)/dist
	cd $(TYPESCRIPT) && npm run --silent build

$(ASSETS)/index.html: $(PAGE)/node_modules/.package-lock.json $(wildcard $(PAGE)/*.mjs $(PAGE)/src/* $(PAGE)/*.json)
	@scripts/has-node --explain
	cd $(PAGE) && node build.mjs
