PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run test test-deep lint recordings screenshots clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml memtop/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint,png]'
	@touch $@

run: $(STAMP) ## make the environment and start the screen
	@$(BIN)/memtop

# What measures how long a process is held up runs by itself, and so does what is watched while it
# grows, and what has a limit of its own: that is seen by all who look at the machine.
test: $(STAMP) ## make the environment and run the tests
	$(BIN)/python -m pytest -q -n 5 --dist loadgroup --ignore tests/inject --ignore tests/diagnosis --ignore tests/recording/test_oom.py
	$(BIN)/python -m pytest -q tests/diagnosis tests/recording/test_oom.py
	$(BIN)/python -m pytest -q -n 4 tests/inject --ignore tests/inject/test_pause.py
	$(BIN)/python -m pytest -q tests/inject/test_pause.py

test-deep: $(STAMP) ## the tests that take minutes, too
	$(BIN)/python -m pytest -q -m 'deep or not deep'

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

recordings: $(STAMP) ## record the incidents again (needs root and some minutes)
	$(BIN)/python screenshots/record.py

screenshots: $(STAMP) ## make the pictures of the README again
	$(BIN)/python screenshots/make.py

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
