# Every command does its own set-up: `make serve` and `make test` work in a fresh clone with Python 3.11+ alone.
.DEFAULT_GOAL := help
.PHONY: help setup serve test check bench doctor lock
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
CONFIG ?= configs/service/starter.yaml
# where the CPU build of torch is, when no folder in pip's own find-links has it (nothing else comes from there)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# how `make lock` finds the CPU build of torch
LOCK_OPTIONS ?= --torch-backend cpu

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := $(shell grep '^torch==' requirements/cpu.lock)

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 10

setup: $(READY)  ## build .venv from the lock file

serve: $(READY)  ## the service at http://127.0.0.1:8000 (HOST=, PORT=), starter model and bundle (CONFIG=... for another)
	@exec $(BIN)/pointsman serve $(CONFIG) --host $(HOST) --port $(PORT)

test: $(READY)  ## the whole test suite, real engine included
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY)  ## lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY)  ## the measurements in benchmarks/, each beside its baseline in one run
	@$(BIN)/python -m benchmarks.lora_cpu
	@$(BIN)/python -m benchmarks.service_overhead
	@$(BIN)/python -m benchmarks.sandbox

doctor: $(READY)  ## versions, processor, memory, what is missing and the cure
	@$(BIN)/pointsman doctor

lock: $(READY)  ## resolve requirements/cpu.lock anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --extra serve --extra train --extra dev --python-version 3.11 \
	    --override requirements/overrides.txt --upgrade $(LOCK_OPTIONS) --quiet --no-header --no-emit-index-url \
	    --no-emit-find-links --output-file $(VENV)/cpu.lock
	@{ sed -n '/^#/p' requirements/cpu.lock; sed -E 's/^(torch==[^+]*)\+cpu/\1/' $(VENV)/cpu.lock; } > $(VENV)/new.lock
	@mv $(VENV)/new.lock requirements/cpu.lock

# Torch comes first and by itself: PyPI's build for Linux is the CUDA one, several GB; the CPU build is taken from a
# folder that pip's find-links names, else from PyTorch's own index. uv installs the rest in seconds where pip needs
# minutes; where uv reaches no index (of pip's settings it is given PIP_INDEX_URL alone), pip does it.
$(READY): requirements/cpu.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'setup: "$(PYTHON)" is older than Python 3.11; run `make PYTHON=python3.11 ...`' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	    { echo 'setup: no virtual environment could be made; on Debian install python3-venv' >&2; exit 1; }
	@echo 'setup: $(TORCH), CPU build'
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --no-index '$(TORCH)' 2>/dev/null || \
	    $(BIN)/python -m pip install --no-compile --no-deps --index-url $(TORCH_INDEX) '$(TORCH)' || \
	    { echo 'setup: no CPU build of $(TORCH) at $(TORCH_INDEX); give a mirror, `make TORCH_INDEX=URL ...`,' \
	      'or put its wheel into a folder and name it with PIP_FIND_LINKS' >&2; exit 1; }
	@echo 'setup: requirements/cpu.lock'
	@$(BIN)/python -m pip install -qq --no-deps uv || true
	@UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-https://pypi.org/simple}}" \
	    $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --requirement requirements/cpu.lock || \
	    $(BIN)/python -m pip install --no-deps --requirement requirements/cpu.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@
