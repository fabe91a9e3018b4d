# Everything is set up when first needed: in .venv, through pip, from pyproject.toml. `make help` lists the commands.

PYTHON ?= python3
ifeq ($(origin CXX),default)
CXX := $(firstword $(foreach name,c++ g++ clang++,$(shell command -v $(name))))
endif
export CXX

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
NATIVE := $(wildcard csrc/*.cpp csrc/*.h)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test lint format accuracy bench bench-frameworks bench-study bench-operator peers clean help

run: .venv/softsign.stamp  ## train on handwritten digits, check the results, measure the speed (softsign demo)
	$(BIN)/softsign demo $(ARGS)

test: .venv/softsign.stamp .venv/test.stamp  ## run the tests
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/softsign.stamp .venv/lint.stamp  ## check style, types and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(NATIVE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/lint.stamp  ## format the Python and C++ sources
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(NATIVE)

accuracy: .venv/softsign.stamp .venv/test.stamp  ## check every promise about the numbers, on all float32 inputs
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

bench: .venv/softsign.stamp .venv/bench.stamp  ## time every function beside np.copyto and the peers installed
	$(BIN)/python benchmarks/ufuncs.py $(ARGS)

bench-frameworks: .venv/softsign.stamp .venv/test.stamp  ## time softsign.torch and softsign.jax beside PyTorch's and JAX's
	$(BIN)/python benchmarks/frameworks.py $(ARGS)

bench-operator: .venv/softsign.stamp .venv/test.stamp  ## time the operator layer and a training step beside PyTorch's
	$(BIN)/python benchmarks/operator_layer.py $(ARGS)

bench-study: .venv/softsign.stamp .venv/test.stamp  ## time the training study beside PyTorch's bare loop, and Shapeset's images
	$(BIN)/python benchmarks/study.py $(ARGS)

peers: .venv/peers.stamp  ## install every peer that `make bench` knows

clean:  ## remove the environment, builds and caches
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find benchmarks src tests -name __pycache__ -prune -exec rm -rf {} +

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: ARGS (more arguments for run, test, accuracy and the benchmarks), PYTHON, CXX'

# $(call need,COMMAND,THING): stop with one line if COMMAND fails, before the recipe does anything.
need = $(if $(shell { $1; } >/dev/null 2>&1 || echo missing),$(error softsign needs $2))
cxx_check = echo '\#include <optional>' | $(CXX) -std=c++17 -x c++ -fsyntax-only -
header_check = test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"

.venv/pip.stamp:
	$(call need,$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))',Python 3.11 or newer: \
	install it and name it as in: make PYTHON=python3.11)
	$(call need,$(PYTHON) -c 'import ensurepip; import venv',Python's venv: install python3-venv)
	$(call need,$(header_check),Python's C headers: install python3-dev (Fedora: python3-devel))
	$(call need,$(cxx_check),a C++17 compiler: install g++ (Fedora: gcc-c++; macOS: xcode-select --install))
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --upgrade 'pip>=25.1'
	touch $@

# A dependency group of pyproject.toml.
.venv/%.stamp: .venv/pip.stamp pyproject.toml tests/constraints.txt
	$(PIP_INSTALL) --group $* --constraint tests/constraints.txt
	touch $@

.venv/softsign.stamp: .venv/build.stamp pyproject.toml CMakeLists.txt $(NATIVE)
	$(PIP_INSTALL) --no-build-isolation --editable '.[cli,reference]'
	touch $@
