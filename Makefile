PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test lint clean

help:
	@echo "make demo   install into .venv, train on the built-in sky time-lapse, generate videos (under 10 minutes)"
	@echo "make test   install into .venv, run the test suite"
	@echo "make lint   format check, lint, types"

install: $(STAMP)

$(STAMP): setup.py pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,tensorboard]"
	touch $(STAMP)

demo: install
	$(BIN)/stylegan-v demo

test: install
	$(BIN)/python -m pytest -n 2

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
