# Everything is set up when first needed: in .venv, through pip, from pyproject.toml. `make help` lists the commands.

PYTHON ?= python3
ifeq ($(origin CXX),default)
CXX := $(firstword $(foreach name,c++ g++ clang++,$(shell command -v $(name))))
endif
export CXX
# Processes of the tests would each compile the sources and rewrite their assertions again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
NATIVE := $(wildcard csrc/*.cpp csrc/*.h)
PACKAGE := $(shell find src -name '*.py')
MDFORMAT := $(BIN)/mdformat --wrap 110 --number --compact-tables
PAGES := $(wildcard *.md docs/*.md docs/*/*.md)
# The newest Python that README names, or else the one of .venv.
NEWEST = $(foreach name,python3.14 python3.13 $(wildcard $(HOME)/.pyenv/versions/3.1[34].*/bin/python) $(BIN)/python,$\
	$(shell $(name) -c 'import venv; print("$(name)")' 2>/dev/null))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test test-oldest test-newest test-clang test-avx512 sanitize fuzz mutants kills lint format docs \
	accuracy onnx-nodes onnx-engines bench bench-cycles bench-threads bench-frameworks bench-study bench-operator \
	bench-audio bench-companding bench-tonemap bench-robust peers explorer clean help

run: .venv/softsign.stamp  ## train on handwritten digits, check the results, measure the speed (softsign demo)
	$(BIN)/softsign demo --force $(ARGS)

test: .venv/softsign.stamp .venv/test.stamp  ## run the tests, on two cores; ARGS="-n 0" on one
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-oldest: .venv/wheel.stamp  ## run the tests of ufuncs and operators with the oldest NumPy
	$(call test_with,.venv-oldest,$(BIN)/python,numpy==2.0.*)

test-newest: .venv/wheel.stamp  ## the same with the newest NumPy, and the newest Python that is installed
	$(call test_with,.venv-newest,$(firstword $(NEWEST)),numpy)

test-clang: .venv/softsign.stamp .venv/test.stamp  ## compile with Clang and run a part of the tests
	$(call need,command -v clang++,clang++: install clang)
	$(call variant,clang,-C cmake.define.CMAKE_CXX_COMPILER=clang++)
	$(call pytest_with,clang) -k '$(CLANG)' $(ARGS) tests/test_ufuncs.py tests/test_accuracy.py tests/test_reductions.py

test-avx512: .venv/softsign.stamp .venv/test.stamp  ## run a part of the tests on AVX-512 kernels, emulated on AVX2 (Clang)
	$(call need,command -v clang++,clang++: install clang)
	$(call variant,avx512-clang,-C cmake.define.CMAKE_CXX_COMPILER=clang++ \
		-C cmake.define.SOFTSIGN_EMULATE_AVX512=ON -C 'cmake.define.SOFTSIGN_KERNEL_SETS=avx512;sse2')
	$(call pytest_with,avx512-clang) -k '$(CLANG) or alignment or overlap or in_place' $(ARGS) \
		tests/test_ufuncs.py tests/test_accuracy.py tests/test_reductions.py

sanitize: .venv/softsign.stamp .venv/test.stamp  ## run the core's tests under sanitizers (GCC); ARGS="-k NAME" some of them
	$(call need,g++ -fsanitize=thread -x c++ -fsyntax-only /dev/null,g++ with its sanitizers: install g++)
	$(call variant,address,-C cmake.define.SOFTSIGN_SANITIZE=address$(,)undefined $(with_kernels))
	$(call under,address,asan) tests/sanitizers.py
	$(call under,address,asan) $(ARGS) tests/test_ufuncs.py tests/test_segments.py tests/test_reductions.py tests/test_threads.py
	$(call variant,thread,-C cmake.define.SOFTSIGN_SANITIZE=thread $(with_kernels))
	$(call under,thread,tsan) tests/sanitizers.py
	$(call under,thread,tsan) $(ARGS) tests/test_threads.py

lint: .venv/softsign.stamp .venv/lint.stamp  ## check style, types, docstrings, the stub, pages and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(NATIVE) web/wasm.cpp
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest softsign._core
	$(BIN)/numpydoc lint $(PACKAGE)
	$(MDFORMAT) --check $(PAGES)
	$(BIN)/lint-imports

format: .venv/lint.stamp  ## format the Python and C++ sources and the pages
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(NATIVE) web/wasm.cpp
	$(MDFORMAT) $(PAGES)

docs: .venv/softsign.stamp .venv/docs.stamp build/katex.stamp  ## build the documentation site, build/site/index.html (needs Node)
	rm -rf build/site
	$(BIN)/python -m sphinx -W -n --keep-going --quiet docs build/site
	touch build/site/.complete

fuzz: .venv/softsign.stamp .venv/test.stamp  ## try random arrays, nets and damaged files; ARGS="--minutes N"
	$(BIN)/python -m tests.fuzz $(ARGS)

mutants: .venv/softsign.stamp .venv/test.stamp  ## plant mistakes in a copy, which the tests must catch; ARGS="--sample N"
	$(BIN)/python -m tests.mutants $(ARGS)

accuracy: .venv/softsign.stamp .venv/test.stamp  ## check every bound, float32 on all inputs
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

onnx-nodes: .venv/softsign.stamp .venv/test.stamp  ## run all of ONNX's node tests on softsign.onnx.Backend
	SOFTSIGN_ALL_NODES=1 $(BIN)/python -m pytest -n 2 tests/test_onnx_nodes.py $(ARGS)

onnx-engines: .venv/softsign.stamp .venv/test.stamp  ## run models of softsign.onnx in the ONNX engines installed; ARGS="--web FOLDER"
	$(BIN)/python benchmarks/onnx_engines.py $(ARGS)

bench: .venv/softsign.stamp .venv/bench.stamp  ## time every function beside np.copyto and the peers installed
	$(BIN)/python benchmarks/ufuncs.py $(ARGS)

bench-cycles: .venv/softsign.stamp .venv/bench.stamp  ## count cycles beside the limits of core and memory
	$(BIN)/python benchmarks/cycles.py $(ARGS)

bench-threads: .venv/softsign.stamp .venv/bench.stamp  ## time two threads beside one: hot, after a pause, beside a busy process
	$(BIN)/python benchmarks/threads.py $(ARGS)

bench-frameworks: .venv/softsign.stamp .venv/test.stamp  ## time softsign.torch and softsign.jax beside PyTorch's and JAX's
	$(BIN)/python benchmarks/frameworks.py $(ARGS)

bench-operator: .venv/softsign.stamp .venv/test.stamp  ## time the operator layer and a training step beside PyTorch's
	$(BIN)/python benchmarks/operator_layer.py $(ARGS)

bench-audio: .venv/softsign.stamp .venv/test.stamp  ## measure the waveshaper: aliasing, flatness, rounding, speed
	$(BIN)/python benchmarks/audio.py $(ARGS)

bench-study: .venv/softsign.stamp .venv/test.stamp  ## time the training study beside PyTorch's bare loop, and Shapeset's images
	$(BIN)/python benchmarks/study.py $(ARGS)

bench-robust: .venv/softsign.stamp .venv/test.stamp  ## robust and sparse fits beside statsmodels', scikit-learn's and boosted trees
	$(BIN)/python benchmarks/robust.py $(ARGS)

bench-companding: .venv/softsign.stamp .venv/test.stamp  ## noise of companding on real speech, beside G.711
	$(BIN)/python benchmarks/companding.py $(ARGS)

bench-tonemap: .venv/softsign.stamp .venv/test.stamp  ## time tone mapping beside NumPy, colour-hdri and OpenCV, and count their nans
	$(BIN)/python benchmarks/tonemap.py $(ARGS)

explorer: .venv/softsign.stamp .venv/explorer.stamp  ## build the explorer's page from web/ and csrc/; needs node
	$(call need,npm --version,node and npm: install nodejs and npm)
	cd web && npm ci --ignore-scripts --no-audit --no-fund --silent
	$(BIN)/python web/build.py

kills: .venv/softsign.stamp .venv/test.stamp  ## kill commands at random moments and look at what is left, for an hour
	$(BIN)/python -m tests.kills $(ARGS)

peers: .venv/peers.stamp  ## install every peer that `make bench` knows

clean:  ## remove the environment, builds and caches
	rm -rf .venv .venv-oldest .venv-newest build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find benchmarks src tests -name __pycache__ -prune -exec rm -rf {} +

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: ARGS (more arguments for run, test, sanitize, accuracy and the benchmarks), PYTHON, CXX,'
	@echo '           KERNELS (those that sanitize compiles, by default all of this CPU and the portable ones)'

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

# The style sheet and fonts of formulas, of the version of the script that sphinxcontrib-katex has in itself.
build/katex.stamp: .venv/docs.stamp
	$(call need,command -v node && command -v npm,Node.js and npm to build the pages: install nodejs and npm)
	npm install --silent --no-audit --no-fund --no-save --prefix build/katex \
		katex@$$($(BIN)/python -c 'from sphinxcontrib.katex import katex_version; print(katex_version)')
	touch $@

# The binary that users of every Python and NumPy get: built once, it runs with all of them.
.venv/wheel.stamp: .venv/softsign.stamp $(PACKAGE)
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	touch $@

# Without what takes long and compares the core's numbers with each other, whatever NumPy calls it.
QUICK := not error_bounds and not monotone and not between_the_slopes and not antiderivatives_rise $\
	and not pieces_give and not every_length and not test_symmetry and not quiet_alone
# $(call test_with,FOLDER,PYTHON,NUMPY)
define test_with
	test -d $1 || $2 -m venv --without-pip $1
	$(BIN)/python -m pip --python $1/bin/python install --quiet --no-compile --group quick '$3' --constraint tests/constraints.txt
	$(BIN)/python -m pip --python $1/bin/python install --quiet --no-compile --no-deps --force-reinstall build/wheel/*.whl
	$1/bin/python -c 'import sys, numpy; print("Python", sys.version.split()[0], "NumPy", numpy.__version__)'
	$1/bin/python -m pytest -n 2 -k '$(QUICK)' tests/test_ufuncs.py $(wildcard tests/test_operator*.py)
endef

# $(call variant,NAME,OPTIONS): an environment with a core that is compiled otherwise, and all else from .venv.
, := ,
site = import pathlib, sys, sysconfig; site = pathlib.Path(sysconfig.get_path("purelib"))
define variant
	test -d build/$1/venv || $(BIN)/python -m venv --without-pip build/$1/venv
	$(BIN)/python -c '$(site); print(site)' >build/$1/site
	build/$1/venv/bin/python -c '$(site); (site / "all-else.pth").write_text(sys.stdin.read())' <build/$1/site
	CXX=$(if $(findstring clang,$1),clang++,g++) $(BIN)/python -m pip --python build/$1/venv/bin/python install --quiet \
		--no-deps --no-build-isolation --force-reinstall -C build-dir=build/$1/cmake $2 .
endef
pytest_with = build/$1/venv/bin/python -m pytest -n 2 --dist worksteal -p no:cacheprovider
CLANG := special or flags_of or order or complex or same_bits or same_kernels or hard or midpoints or one_dimension

# $(call under,NAME,LIBRARY): pytest with the runtime library of a sanitizer, which has to be loaded first.
KERNELS := $(if $(filter x86_64,$(shell uname -m)),avx512;avx2;sse2;)portable
with_kernels = -C 'cmake.define.SOFTSIGN_KERNEL_SETS=$(KERNELS)'
under = SOFTSIGN_SANITIZER=$1 PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 \
	UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 \
	LD_PRELOAD="$$(g++ -print-file-name=lib$2.so) $$(g++ -print-file-name=libstdc++.so)" \
	build/$1/venv/bin/python -m pytest -n 2 --dist worksteal -p no:cacheprovider
