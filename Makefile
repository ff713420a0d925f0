# Every verb of the project. Two need nothing set up beforehand: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml

.PHONY: demo run test check format docs bench lock clean

demo: $(VENV)/.local  ## a comment becomes a pipeline on this machine: no cloud, no GitLab
	@$(BIN)/python -m tests.demo

run: $(VENV)/.local  ## serve on 127.0.0.1:PORT with the settings of the environment
	@$(BIN)/python -m functions.local

test: check  ## lint, types, generated docs and every test
	$(BIN)/python -m pytest

check: $(VENV)/.test
	$(BIN)/ruff check --no-cache --quiet .
	$(BIN)/ruff format --no-cache --check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/python docs/generate.py --check

format: $(VENV)/.test  ## put code and generated docs in order
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format --no-cache .
	$(BIN)/python docs/generate.py

docs: $(VENV)/.test  ## write the tables of the docs from the code
	$(BIN)/python docs/generate.py

bench: $(VENV)/.test  ## figures: hostile notes, cold path
	$(BIN)/python -m tests.bench

lock:  ## pin every dependency with hashes; needs uv
	$(UV_COMPILE) --all-extras --group test -o tests/requirements.txt
	$(UV_COMPILE) -c tests/requirements.txt -o functions/local/requirements.txt
	$(UV_COMPILE) -c tests/requirements.txt --extra aws -o functions/aws/requirements.txt
	$(UV_COMPILE) -c tests/requirements.txt --extra gcp -o functions/gcp/requirements.txt

clean:
	rm -rf $(VENV) .state build .aws-sam

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: functions/local/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.test: tests/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@ $(VENV)/.local
