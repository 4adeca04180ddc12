# galago: the commands of the house. On a fresh machine each one makes what it needs, in .venv and build/.
#
#     make demo            the mission in a minute: clips are heard, "what do you see?" is answered aloud, in real
#                          time and in an environment as a board has it; the answer and a picture go to build/demo
#     make demo MIC=1      listen to the microphone
#     make test            everything that must hold: native tests, format, types, Python tests
#     make check           the fast half of it: format, lint, types, the header as C99
#     make sanitize        the native tests under AddressSanitizer + UBSan, then ThreadSanitizer
#     make bench           measure, write benchmarks/results, put the rows into the documents
#     make wheel           build the wheel and try it in a clean environment
#     make clean           remove build/ and the environments' stamps, keep the environments
#
# PYTHON names the interpreter that makes the environments; VENV and BOARD_VENV say where they are;
# NPROC bounds parallel work; PYTEST_ARGS is handed to pytest (PYTEST_ARGS="tests/runtime -x").

PYTHON ?= python3
VENV ?= .venv
BOARD_VENV ?= .venv-board
NPROC ?= $(shell nproc 2>/dev/null || echo 2)
PYTEST_ARGS ?=
MIC ?=

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check format native native-test sanitize bench wheel clean compiler

BIN := $(abspath $(VENV))/bin
# The environment's own cmake and ninja serve where the system has none.
export PATH := $(PATH):$(BIN)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CMAKE_BUILD_PARALLEL_LEVEL := $(NPROC)
PIP_INSTALL := -m pip install --quiet --constraint constraints.txt
# Neither PyAudio nor PyGObject ships a Linux wheel: each is built only where the headers are there to build it with.
comma := ,
GI_HEADERS := /usr/include/gobject-introspection-1.0 /usr/include/cairo
CAN_BUILD_GI := $(if $(word 2,$(wildcard $(GI_HEADERS))),$(shell command -v pkg-config))
EXTRAS := dev$(if $(wildcard /usr/include/portaudio.h),$(comma)pyaudio)$(if $(CAN_BUILD_GI),$(comma)gstreamer)

help:
	@sed -n '3,11s/^#     //p' Makefile

# -- environments ---------------------------------------------------------------------------------------------

compiler:
	@command -v "$${CXX:-c++}" >/dev/null || { \
	  echo "galago: no C++ compiler found. On Debian or Ubuntu: apt-get install g++" >&2; exit 1; }

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch goes in first and alone: a package that asks for it later would take the newest build with its CUDA.
# The install is editable and leaves the native build out: tests use the library that `make native` builds.
$(VENV)/.galago-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "galago: preparing $(VENV)"
	$(BIN)/python $(PIP_INSTALL) --upgrade pip
	$(BIN)/python $(PIP_INSTALL) torch==2.13.0
	@command -v cmake >/dev/null && command -v ninja >/dev/null || $(BIN)/python $(PIP_INSTALL) cmake ninja
	$(BIN)/python $(PIP_INSTALL) --config-settings=wheel.cmake=false --editable '.[$(EXTRAS)]'
	@touch $@

# Tests and benchmarks use the library that was just built, whatever else is installed.
LIBRARY := $(abspath build/release/libgalago.so)

PACKAGE_FILES := $(shell find galago CMakeLists.txt cmake -type f -not -path '*/__pycache__/*' 2>/dev/null)

# What a board gets: the wheel built and installed for real, numpy, one engine, sound, no torch.
$(BOARD_VENV)/.galago-board: pyproject.toml constraints.txt $(PACKAGE_FILES) | compiler
	@echo "galago: building the core and installing it into $(BOARD_VENV)"
	@test -x $(BOARD_VENV)/bin/python || $(PYTHON) -m venv $(BOARD_VENV)
	$(BOARD_VENV)/bin/python $(PIP_INSTALL) '.[board]'
	@touch $@

# -- commands -------------------------------------------------------------------------------------------------

demo: $(BOARD_VENV)/.galago-board
	$(BOARD_VENV)/bin/galago demo $(if $(MIC),--mic,--clips examples/demo --output build/demo)

native: $(VENV)/.galago-dev | compiler
	cmake --preset release -DGALAGO_TEST_PYTHON=$(BIN)/python
	cmake --build --preset release

native-test: native
	ctest --preset release

check: $(VENV)/.galago-dev
	$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet . | head -100; exit 1; }
	$(BIN)/ruff check --quiet .
	git ls-files '*.cc' '*.h' '*.c' | xargs $(BIN)/clang-format --dry-run --Werror
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c galago/runtime/native/include/galago/galago.h
	$(BIN)/mypy

format: $(VENV)/.galago-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	git ls-files '*.cc' '*.h' '*.c' | xargs $(BIN)/clang-format -i

# pytest comes last, so that its closing line closes the command. The models of the tests are tiny: threads cost
# them more than they bring.
test: native-test check
	GALAGO_LIBRARY=$(LIBRARY) OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest $(PYTEST_ARGS)

sanitize: $(VENV)/.galago-dev | compiler
	@set -e; for preset in asan tsan; do \
	  cmake --preset $$preset -DGALAGO_TEST_PYTHON=$(BIN)/python && cmake --build --preset $$preset && ctest --preset $$preset; done

# Every program that writes rows; the peer of the word error rate is run on the same clips.
BENCHMARKS := $(basename $(notdir $(shell grep -l 'common\.finish' benchmarks/*.py)))
bench: native
	@for name in $(BENCHMARKS); do \
	  arguments=; [ $$name = word_error_rate ] && arguments=--pocketsphinx; \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name $$arguments; done
	$(BIN)/python -m benchmarks.render

wheel: | compiler $(VENV)/.galago-dev
	rm -rf dist build/wheel-check
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv build/wheel-check
	build/wheel-check/bin/python $(PIP_INSTALL) "$$(echo dist/galago-*-py3-none-*.whl)[board]"
	build/wheel-check/bin/python tests/house/try_wheel.py

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f $(VENV)/.galago-dev $(BOARD_VENV)/.galago-board
