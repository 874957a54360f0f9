PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test nightly lint clean

help:
	@echo "make demo     install into .venv, train on the built-in sky time-lapse, generate videos (under 10 minutes)"
	@echo "make test     install into .venv, run the test suite (under 15 minutes on 2 cores)"
	@echo "make nightly  install into .venv, run the long tests that make test leaves out"
	@echo "make lint     format check, lint, types"

install: $(STAMP)

$(STAMP): setup.py pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,tensorboard]"
	touch $(STAMP)

demo: install
	$(BIN)/stylegan-v demo

test: install
	$(BIN)/python -m pytest -n 2

nightly: install
	$(BIN)/python -m pytest -n 2 -m nightly

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
