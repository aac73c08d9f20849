# make setup | demo | test | test-all | lint | docs
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two workers share the cores; each keeps its numeric libraries to one thread.
WORKERS ?= 2

.PHONY: setup demo test test-all lint docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/trueline demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m trueline.cli.reference --check docs/cli.md
	$(BIN)/python -m trueline.cli.measure_reference --check docs/measures.md

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m 'not slow'

# Everything: more worlds and seeds for the dose-response tests, long simulations, all peers.
test-all: lint
	OMP_NUM_THREADS=1 TRUELINE_DOSE_SEEDS=3 $(BIN)/pytest -n $(WORKERS) --dist loadgroup

docs: setup
	$(BIN)/python -m trueline.cli.reference docs/cli.md
	$(BIN)/python -m trueline.cli.measure_reference docs/measures.md

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
