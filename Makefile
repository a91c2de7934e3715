# make run, make test: each makes .venv, installs what it needs, and does its job.
# Options go in ARGS: make run ARGS="--port 7861"; make test ARGS="-k dialogues".
# Another Python: make run PYTHON=python3.12.

.DEFAULT_GOAL := run
.PHONY: run test check soak bench clean

# The first Python of 3.11 or later on the path.
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13 python python3.14; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.ready-to-run
TEST_READY := $(VENV)/.ready-to-test
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

run: $(RUN_READY)
	@$(BIN)/python app.py $(ARGS)

# Everything but what takes minutes; browser tests skip where there is no Chromium, those of
# PostgreSQL without EMPO_TEST_DATABASE_URL.
test: $(TEST_READY)
	@$(BIN)/python -m pytest -m "not nightly" $(ARGS)

check: $(TEST_READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m pytest tests/test_floors.py

soak: $(TEST_READY)
	@$(BIN)/python -m pytest -m nightly $(ARGS)

bench: $(TEST_READY)
	@$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: install it, or name it with PYTHON=…" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make $(VENV): on Debian and Ubuntu, apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(RUN_READY): requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt (the first time this takes some minutes)"
	@$(PIP) install -r requirements.txt
	@touch $@

$(TEST_READY): requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing requirements-dev.txt"
	@$(PIP) install -r requirements-dev.txt
	@touch $(RUN_READY) $@
