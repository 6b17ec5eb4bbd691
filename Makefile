# The verbs. Each makes what it needs; ARGS goes to the program behind it.
# Wanted of the machine: Python 3.11 or newer, make and the package index.

.DEFAULT_GOAL := verbs
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN  := $(VENV)/bin
UV   := $(BIN)/uv --quiet
NODE_CLIENTS := tests/clients/node/node_modules
OPA  := $(firstword $(wildcard .tools/bin/opa) $(shell command -v opa 2>/dev/null))

# The first of these that is new enough; `make PYTHON=/path/to/python …` chooses another.
PYTHON := $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))

.PHONY: verbs demo test check bench fuzz clients locks _lint _locks _envoy _policies

verbs:
	@echo "make demo [ARGS=--once]   the whole gate on this machine, with a mock provider"
	@echo "make test [ARGS=…]        the test suite (pytest's arguments)"
	@echo "make check                lint, types, import rules, locks, Envoy's and Rego's own checks"
	@echo "make clients              Node's LLM clients, for the tests that drive them"
	@echo "make bench [ARGS=…]       benchmarks; figures under bench/results/"
	@echo "make fuzz [SECONDS=300] [TARGET=chat_stream]   any bytes at the parsers, for so long"

demo: $(VENV)/.runtime
	@$(BIN)/portcullis demo $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/pytest $(ARGS)

# REVOCATION goes to bench/revocation.py, which has 100,000 keys unless told otherwise.
bench: $(VENV)/.dev
	@$(BIN)/python bench/run.py $(ARGS)
	@$(BIN)/python bench/bodies.py
	@$(BIN)/python bench/beside.py $(ARGS)
	@$(BIN)/python bench/revocation.py $(REVOCATION)

# All targets together for SECONDS, or one of them; what it finds is under .fuzz/. ARGS goes to tests/fuzz/run.py.
SECONDS ?= 300
fuzz: $(VENV)/.fuzz
	@$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(addprefix --target ,$(TARGET)) $(ARGS)

# The Node clients that tests/clients drives, from their lock. Where they are missing their tests are skipped, by name.
clients: $(NODE_CLIENTS)/.package-lock.json

check: $(VENV)/.dev _lint _locks _envoy _policies

# ── the parts of check ──────────────────────────────────────────────────────

_lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vulture

# A lock is right when compiling it again, with its own pins as the preference, gives the same pins.
_locks: $(VENV)/.dev
	@$(BIN)/python .ci/locks.py check

_envoy: $(VENV)/.dev
	@ENVOY=$(BIN)/envoy PYTHON=$(BIN)/python sh .ci/envoy

_policies: $(VENV)/.dev
	@$(BIN)/portcullis check
	@OPA="$(OPA)" sh .ci/policies

# ── the environment ─────────────────────────────────────────────────────────

# New pins: edit pyproject.toml or requirements-bootstrap.in, then `make locks`.
locks: $(VENV)/.dev
	@$(BIN)/python .ci/locks.py write

$(VENV)/.bootstrap: requirements-bootstrap.lock
	@test -n "$(PYTHON)" || { echo "Portcullis needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python."; exit 2; }
	@test -x $(BIN)/python || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); } || \
		{ echo "$(PYTHON) can't make a virtual environment: install its venv module (on Debian: python3-venv)."; exit 2; }
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Additive, so that it leaves a developer's environment whole.
$(VENV)/.runtime: requirements.lock pyproject.toml $(VENV)/.bootstrap
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements.lock -r requirements-bootstrap.lock
	@$(UV) pip install --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

# Exactly what is locked and nothing else.
$(VENV)/.dev: requirements-dev.lock pyproject.toml $(VENV)/.bootstrap
	@$(UV) pip sync --python $(BIN)/python --require-hashes requirements-dev.lock requirements-bootstrap.lock
	@$(UV) pip install --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@ $(VENV)/.runtime

$(VENV)/.fuzz: requirements-fuzz.lock $(VENV)/.dev
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements-fuzz.lock
	@touch $@

# npm and Node are a wheel of the dev lock, so that their version is one for everybody.
$(NODE_CLIENTS)/.package-lock.json: tests/clients/node/package-lock.json tests/clients/node/.npmrc $(VENV)/.dev
	@echo "Installing into $(NODE_CLIENTS) …"
	@cd tests/clients/node && "$(CURDIR)/$(BIN)/npm" ci --loglevel=error >/dev/null
	@touch $@
