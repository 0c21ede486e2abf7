# make demo   set up, run the quickstart suite, show its leaderboard
# make test   set up, run the tests
# make quick  set up, run the fast tests: no whole commands, nothing that is marked slow
# make check  format, lint and types
# make bench  time what is claimed to be fast against what one would use instead; fills docs/performance.md
# make soak   malformed suites, damaged files, kills, crashes, full disks; its last figures are in docs/reliability.md
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: install demo test quick check bench soak

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q harness labelharness plugins
	$(BIN)/python -m harness.search
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/harness run suites/quickstart.yaml

# Compiled files are kept: the tests start Python some hundred times.
test quick: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/end_to_end -m 'not slow'

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m pytest benchmarks --benchmark-json=.benchmarks.json
	$(BIN)/python docs/scripts/performance.py .benchmarks.json

soak: $(STAMP)
	$(BIN)/python -m tests.soak.inputs
	$(BIN)/python -m tests.soak.crashes
