PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNTIME := $(VENV)/.runtime
CONSTRAINTS ?= constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)
NETWORK := tests/data/carphone64.safetensors

.PHONY: help install video demo test nightly lint docs clean

help:
	@echo "make video    install what the library needs into .venv, make a video with the network of the tests"
	@echo "make demo     install into .venv, train on the built-in sky time-lapse, generate videos (under 10 minutes)"
	@echo "make test     install into .venv, run the test suite (under 15 minutes on 2 cores)"
	@echo "make nightly  install into .venv, run the long tests that make test leaves out"
	@echo "make lint     format check, lint, types"
	@echo "make docs     write the pages that are made from the code: docs/api.md, docs/options.md"

install: $(STAMP)

$(STAMP): setup.py pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[dev,tensorboard]"
	touch $(STAMP) $(RUNTIME)

$(RUNTIME): setup.py $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $(RUNTIME)

video: $(RUNTIME)
	$(BIN)/python gen_video.py --network=$(NETWORK) --seeds=2,3,10,14,15,22 --grid=3x2 --frames=100 --output=video.mp4

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

docs: install
	$(BIN)/python -m tests.api_page > docs/api.md
	$(BIN)/python -m stylegan_v_ext.config.table > docs/options.md

clean:
	rm -rf $(VENV) build *.egg-info
