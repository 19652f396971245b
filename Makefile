# Two commands: `make build` ends with a proven package, `make test` runs the whole suite. Both set up what they need.
# `make check` is the part of the suite to run after each change.
# The build in Windows PowerShell stands in README.md.

PYTHON ?= $(or $(shell command -v python3.11),python3)
BIN := .venv/bin
RECIPE ?= smollm2-int4-openvino
SEED ?= 1

.PHONY: build check test lint docs reference conformance without-backends test-windows test-windows-full fuzz soak clean

build: .venv/.bakehouse
	$(BIN)/doit build:$(RECIPE)

# what converts no model and answers quickly: about two minutes
check: .venv/.bakehouse-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not model"

test: .venv/.bakehouse-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# what `make test` leaves out, every small checkpoint behind a public bug report, through the whole pipeline, and a tiny one of every
# architecture in every runtime, compared with the table of docs/reference/models.md: more than an hour
conformance: .venv/.bakehouse-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --conformance -m conformance
	$(BIN)/python -m tests.support.conformance
	$(BIN)/python -m tests.architectures

# the light suite in five copies of this tree, each without one backend
without-backends: .venv/.bakehouse-test
	$(BIN)/python -m tests.support.without_backend

# the light suite in Windows Python under Wine (tests/windows/README.md), each file with a time limit
test-windows: .venv/.bakehouse-test
	$(BIN)/python -m tests.windows

# what a user of Windows does, with the converters and runtimes: about half an hour
test-windows-full: .venv/.bakehouse-test
	$(BIN)/python -m tests.windows --full
	$(BIN)/python -m pytest -n 0 tests/windows/ways.py

# every reader of what others wrote, given 100,000 damaged and hostile inputs each: hours; SEED repeats a run
fuzz: .venv/.bakehouse-test
	$(BIN)/python -m tests.fuzz --inputs 100000 --seed $(SEED)

# builds disturbed at 1,000 random moments and in 1,200 random places: hours; SEED repeats the choices
soak: .venv/.bakehouse-test
	$(BIN)/python -m tests.soak --kills 1000 --seed $(SEED)

# the site, in an environment of its own; every warning is an error
docs: .venv-docs/.bakehouse-docs
	.venv-docs/bin/mkdocs build --strict

# the pages and the schema that come from the code
reference: .venv/.bakehouse-test
	$(BIN)/doit schema
	$(BIN)/python -m docs.scripts.reference

lint: .venv/.bakehouse-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/.bakehouse: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[build]'
	touch $@

.venv/.bakehouse-test: .venv/.bakehouse
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@

.venv-docs/.bakehouse-docs: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .venv-docs site
