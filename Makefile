# Everything from a clean checkout: each target first makes the environments it needs, from the lock files.
#   PYTHON=/path/to/python3    the Python to use (else tools/find-python looks for one)
#   ARGS="-k retry -x"         more arguments for pytest, or for the tool behind the target

VENV   := .venv
PYTEST := $(VENV)/bin/python -m pytest
POSTEL := $(VENV)/bin/postel
LISTEN ?= 127.0.0.1:8080

# Folders with a step of their own; all other tests are units.
STEPS := wire clients docs chart
UNITS := $(STEPS:%=--ignore=tests/%)

# $(call pytest,FOLDERS): the folders among these that have tests
pytest = $(if $(wildcard $(1:%=%/test_*.py)),$(PYTEST) $(sort $(dir $(wildcard $(1:%=%/test_*.py)))) $(ARGS),@echo "no tests yet: $(1)")

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9.%-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: venv ## the proxy on LISTEN, in front of UPSTREAM=http://... or else of an engine that misbehaves
	$(POSTEL) $(if $(UPSTREAM),run --upstream $(UPSTREAM),demo --serve) --listen $(LISTEN)

.PHONY: test
test: lint types unit rules wire clients docs ## all checks, the quickest first

.PHONY: lint
lint: venv ## ruff: lint and format
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

.PHONY: types
types: venv ## mypy --strict over package and tests
	$(VENV)/bin/mypy

.PHONY: unit
unit: venv ## tests without a network
	$(PYTEST) -n 2 $(UNITS) $(ARGS)

unit-%: ## the same on another Python: make unit-3.12
	$(MAKE) --no-print-directory unit VENV=.cache/venv-$* MINOR=$*

.PHONY: rules
rules: venv ## rule files: schema, lint, the cases beside them, and whether these would notice a damaged rule
	$(POSTEL) check rules
	$(POSTEL) test --mutate rules

.PHONY: wire
wire: venv ## real sockets on loopback
	$(call pytest,tests/wire)

.PHONY: clients
clients: venv ## real SDKs, in environments of their own
	tools/clients
	$(call pytest,tests/clients)

.PHONY: docs
docs: venv ## documents and charts against the code
	$(call pytest,tests/docs tests/chart)

.PHONY: fuzz
fuzz: venv ## the property tests, with many more examples
	POSTEL_HYPOTHESIS=deep $(PYTEST) $(UNITS) --timeout=900 -m hypothesis $(ARGS)

.PHONY: bench
bench: venv ## Postel beside a bare mitmproxy and mitmdump
	$(VENV)/bin/python -m bench.compare $(ARGS)

.PHONY: format
format: venv ## ruff: mend what it can
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format

.PHONY: lock
lock: ## rewrite requirements/*.txt; ARGS=--upgrade moves to the newest versions
	tools/lock $(ARGS)

.PHONY: clean
clean: ## remove all that the other targets made
	rm -rf .venv .cache .hypothesis build dist
	find addon tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: venv
venv:
	@MINOR=$(MINOR) tools/venv $(VENV) requirements/dev.txt --with-project
