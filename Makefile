# Ayuda. Every target does the set-up it needs; a second run finds it done.
#
#   make demo [CHECK=1]   a whole session on this machine
#   make test             every test
#   make run              the broker alone
#   make lint             style and types, Python and JavaScript
#   make bench            all benchmarks; bench-NAME for one
#   make soak             the long fault and fuzz runs
#   make screenshots      the pictures of the documentation

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .setup

SYSTEM_PACKAGES := python3-venv chromium xvfb openbox xterm x11-apps x11-utils xdotool \
	fonts-dejavu-core iproute2 libx11-6 libxcb1 libxcb-randr0 libxcb-render0 libxcb-shm0 libxcb-xfixes0 \
	libxrandr2
BENCH_PACKAGES := novnc x11vnc websockify
BENCHES := $(patsubst tests/bench/bench_%.py,%,$(wildcard tests/bench/bench_*.py))
SOAK ?= 20

.PHONY: help setup demo test run lint format bench soak screenshots clean $(addprefix bench-,$(BENCHES))

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMPS)/python $(STAMPS)/node

$(STAMPS)/system: Makefile
	@tools/install-system $(SYSTEM_PACKAGES)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/bench-system: Makefile
	@tools/install-system $(BENCH_PACKAGES)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python: $(STAMPS)/system pyproject.toml constraints.txt
	@echo "== Python packages into $(VENV)"
	@python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[broker,agent,dev]'
	@touch $@

$(STAMPS)/node: package.json
	@echo "== TypeScript, to check the types of the web pages"
	@npm install --no-package-lock --no-audit --no-fund --loglevel=error
	@mkdir -p $(STAMPS) && touch $@

demo: $(STAMPS)/python
	@$(BIN)/ayuda-broker demo $(if $(CHECK),--check)

run: $(STAMPS)/python
	@$(BIN)/ayuda-broker serve

test: setup
	@$(BIN)/python -m pytest tests

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@node_modules/.bin/tsc --project tsconfig.json

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(addprefix bench-,$(BENCHES))

$(addprefix bench-,$(BENCHES)): bench-%: setup $(STAMPS)/bench-system
	@$(BIN)/python -m tests.bench.bench_$*

soak: setup
	@AYUDA_SOAK=$(SOAK) $(BIN)/python -m pytest tests/faults tests/fuzz tests/unit --timeout 7200

screenshots: setup
	@$(BIN)/python -m pytest tests/browser/test_screenshots.py
	@mkdir -p docs/images && cp var/screenshots/session.png docs/images/

clean:
	rm -rf $(VENV) $(STAMPS) node_modules build *.egg-info
