# Two commands do everything on a fresh Debian or Ubuntu machine: `make demo` and `make test`.
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check scenarios bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Python environment, Docker engine, node image; says what it does, does nothing twice
	@compose/setup.sh

demo: setup ## set up, then lose a region and report what happened to its connections
	$(BIN)/netemu run topologies/scenarios/region-loss.yaml

test: setup check ## set up, check, then every test, with the Docker ones
	@compose/setup.sh tools
	$(BIN)/pytest

check: ## style, types and the direction of imports; needs no Docker
	@compose/setup.sh python
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# All but the one that takes almost as long as the others together.
SCENARIOS = $(filter-out %/ttl-tradeoff.yaml,$(wildcard topologies/scenarios/*.yaml))

scenarios: setup ## the library's scenarios but ttl-tradeoff, with verdicts: about half an hour
	$(BIN)/netemu run $(SCENARIOS) --junit scenarios.xml

bench: setup ## the bounds that netemu promises, measured on this machine
	$(BIN)/python -m benchmarks

# The Docker engine stays as it is, also where the set-up started it: it may serve others by now.
clean: ## remove every lab, our images, .venv and the caches
	@[ ! -x $(BIN)/netemu ] || { $(BIN)/netemu down --all && $(BIN)/python -m emulator.engine.image remove; } \
		|| echo "clean: labs and images, if there are any, stay: the message above says why"
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
