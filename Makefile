# Builds and tests everything. `make help` lists the targets.

SHELL := /bin/bash
VENVS := .venv
# One directory for all builds, so that the Rust dependencies compile once.
export CARGO_TARGET_DIR := $(CURDIR)/target

PYTHONS := $(shell tests/find_pythons)
MINORS := $(foreach pair,$(PYTHONS),$(firstword $(subst =, ,$(pair))))
FIRST := $(firstword $(MINORS))
SOURCES := $(shell git ls-files '*.rs' '*.toml' 'Cargo.lock' 'python/frontrun/*' 2>/dev/null)

.PHONY: help test rust lint pyright python servers build-io docs bench fmt clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: rust python lint ## build what is needed and run everything
	@echo
	@echo "all tests passed: Rust, and Python on $(MINORS)"

rust: ## rustfmt, clippy, and the tests of the Rust crates
	cargo fmt --all --check
	PYO3_PYTHON=$(call interpreter,$(FIRST)) cargo clippy --workspace --all-targets --locked -- -D warnings
	PYO3_PYTHON=$(call interpreter,$(FIRST)) cargo test --workspace --locked

python: $(MINORS:%=test-%) ## the whole-system tests on every CPython found

lint: $(VENVS)/$(FIRST)/.installed ## ruff, mypy --strict, and the stubs against the extension
	$(VENVS)/$(FIRST)/bin/ruff check python tests/python examples benches docs
	$(VENVS)/$(FIRST)/bin/ruff format --check python tests/python examples benches docs
	$(VENVS)/$(FIRST)/bin/mypy --strict python/frontrun
	$(VENVS)/$(FIRST)/bin/python -m mypy.stubtest frontrun._core

pyright: $(VENVS)/$(FIRST)/.installed ## the second opinion on types; needs node, and fetches pyright with it
	$(VENVS)/$(FIRST)/bin/python -m pip install -q --group pyright
	$(VENVS)/$(FIRST)/bin/pyright --pythonpath $(VENVS)/$(FIRST)/bin/python

test-%: $(VENVS)/%/.installed servers
	cd tests/python && PATH="$(CURDIR)/$(VENVS)/$*/bin:$$PATH" ../../$(VENVS)/$*/bin/python -m pytest -q -n 2 --dist loadfile

servers: ## PostgreSQL and Redis, which tests start for themselves
	tests/install_servers

# Neither is remade while it is up to date, nor removed as intermediate.
.SECONDARY:

# The interpreter of a minor version, as tests/find_pythons found it.
interpreter = $(lastword $(subst =, ,$(filter $(1)=%,$(PYTHONS))))

$(VENVS)/%/bin/python:
	$(call interpreter,$*) -m venv $(VENVS)/$*
	$(VENVS)/$*/bin/python -m pip install -q --upgrade pip

$(VENVS)/%/.installed: $(VENVS)/%/bin/python $(SOURCES) pyproject.toml
	$(VENVS)/$*/bin/python -m pip install -q --group dev
	$(VENVS)/$*/bin/python -m pip install -q --force-reinstall --no-deps .
	touch $@

build-io: ## the library that sees I/O, into the package's sources, for `pip install -e .`
	cargo build --release --locked -p frontrun-preload
	cp $(CARGO_TARGET_DIR)/release/libfrontrun_io.so python/frontrun/

docs: $(VENVS)/$(FIRST)/.installed ## the documentation, as pages in docs/_build
	$(VENVS)/$(FIRST)/bin/python -m pip install -q --group docs
	$(VENVS)/$(FIRST)/bin/python -m sphinx -q -W --keep-going docs docs/_build

bench: $(VENVS)/$(FIRST)/.installed ## cost of instrumentation and of the I/O library, side by side with plain runs
	$(VENVS)/$(FIRST)/bin/python benches/overhead.py
	$(VENVS)/$(FIRST)/bin/python benches/io_overhead.py

fmt: $(VENVS)/$(FIRST)/.installed ## format Rust and Python
	cargo fmt --all
	$(VENVS)/$(FIRST)/bin/ruff format python tests/python examples benches docs

clean: ## remove everything that was built
	rm -rf target docs/_build $(VENVS)
