# make demo    a virtual environment, pinned dependencies, then a real search to its end
# make test    the tests that take seconds each, in a few minutes
# make test-all  those, then the ones that train, kill, serve or look at a page
# make check   format, lint, types, architecture
# make bench   one of the benchmarks: make bench NAME=engine (peers, overhead, cost, simulation, probe)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all test-marked check bench format hooks clean

demo: $(READY)
	$(BIN)/autoft assets bert-tiny minilm-l6 tweets
	$(BIN)/autoft search search_spaces/quickstart.yaml --replace

MARKED := slow or browser or cluster or faults

test: $(READY)
	$(BIN)/python -m pytest -m "not ($(MARKED))"

# The searches have a process of their own: Ray has ended one in which it had been started many times.
test-marked: $(READY)
	$(BIN)/python -m pytest -m "$(MARKED)" tests/test_search.py
	$(BIN)/python -m pytest -m "$(MARKED)" --ignore tests/test_search.py

test-all: test test-marked

check: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)
	@test -n "$(NAME)" || { echo "name one: make bench NAME=engine (peers, overhead, cost, simulation, probe)"; exit 1; }
	$(BIN)/python -m benchmarks.$(NAME)

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

hooks: $(READY)
	$(BIN)/pre-commit install

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "autoft's pinned environment needs Python 3.11; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
