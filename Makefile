# Everything a newcomer types. Each target makes its own environment and is quick the second time.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# pip reads this in isolated builds too, where `-c` does not reach.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

BUILD_INPUTS := pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/* csrc/build/*.py)

.PHONY: demo test test-slow lint format bench bench-gpu clean

demo: $(VENV)/report
	$(BIN)/statewise compare

test: $(VENV)/dev
	$(BIN)/pytest -m "not slow" -n 2 --dist worksteal

test-slow: $(VENV)/dev
	$(BIN)/pytest -m slow -n 2 --dist worksteal

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/bench
	@$(BIN)/python -c "import torchlpc" 2>/dev/null || $(BIN)/python -m pip install --quiet --no-build-isolation --no-deps torchlpc==0.7.2
	@for script in benchmarks/bench_*.py benchmarks/mixers.py benchmarks/generators.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

bench-gpu: $(VENV)/bench
	$(BIN)/python benchmarks/gpu.py

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One stamp for each set of extras; `bench` contains `dev`, which contains `report`.
$(VENV)/report $(VENV)/dev $(VENV)/bench: $(VENV)/%: $(BUILD_INPUTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@
