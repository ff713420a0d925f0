# Every verb of the project. Two need nothing set up beforehand: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml

# More workers than processors: what waits leaves room, and only in the quick tests nothing waits.
# `make test WORKERS=16` for a larger machine.
WORKERS ?= 4
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder
unexport PYTHONDONTWRITEBYTECODE  # each worker would compile all tests anew

# The settings file of an installation, and what make setup connects: PROJECT=group/app or GROUP=…
SETTINGS ?= claude.env
CLI = $(BIN)/python -m cli
PLACE = $(if $(GROUP),--group "$(GROUP)",--project "$(PROJECT)")
PLATFORM := $(shell sed -n 's/^PLATFORM *= *//p' $(SETTINGS) 2>/dev/null)
SDK := $(if $(filter aws,$(PLATFORM)),aws,local)

.PHONY: demo run quick test check format docs bench faults security lock update clean \
	pictures release release-check setup remove doctor verify deploy-aws deploy-gcp \
	bootstrap-gcp

demo: $(VENV)/.local  ## a comment becomes a pipeline on this machine: no cloud, no GitLab
	@$(BIN)/python -m tests.demo

run: $(VENV)/.local  ## serve on 127.0.0.1:PORT with the settings of the environment
	@SETTINGS=$(SETTINGS) $(BIN)/python -m functions.local

setup: $(VENV)/.$(SDK)  ## connect PROJECT=group/app or GROUP=group; ARGS=--dry-run: only say what
	@$(CLI) setup --settings $(SETTINGS) $(PLACE) $(ARGS)

remove: $(VENV)/.$(SDK)  ## take away what setup made
	@$(CLI) remove --settings $(SETTINGS) $(PLACE) $(ARGS)

doctor: $(VENV)/.$(SDK)  ## find what keeps mentions from being answered; changes nothing
	@$(CLI) doctor --settings $(SETTINGS) $(if $(PROJECT),--project "$(PROJECT)") $(ARGS)

verify: $(VENV)/.$(SDK)  ## who asked for a commit of the job's: SHA=… PROJECT=… [STATEMENT=…] [SIGN=…]
	@$(CLI) verify "$(SHA)" --settings $(SETTINGS) --project "$(PROJECT)" \
		$(if $(STATEMENT),--statement "$(STATEMENT)") $(if $(SIGN),--sign "$(SIGN)") $(ARGS)

quick: WORKERS = 2
quick: check  ## lint, types, what is generated, and the tests of core and job that need no git
	$(PYTEST) tests/shared tests/job tests/test_architecture.py \
		--ignore=tests/job/test_branch.py --ignore=tests/job/test_diff.py \
		--ignore=tests/job/test_signing.py --ignore=tests/job/test_workspace.py

test: check  ## the same, and the other tests
	$(PYTEST)

check: $(VENV)/.test
	$(BIN)/ruff check --no-cache --quiet .
	$(BIN)/ruff format --no-cache --check --quiet .
	$(BIN)/mypy --no-error-summary
	@told=$$($(BIN)/lint-imports --no-logo --no-cache) || { echo "$$told"; exit 1; }
	$(BIN)/python generate.py --check

format: $(VENV)/.test  ## put code and what is generated in order
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format --no-cache .
	$(BIN)/python generate.py

docs: $(VENV)/.test  ## write from the code: the docs' tables, the descriptors' lists, the component
	$(BIN)/python generate.py

pictures: $(VENV)/.test  ## of a thread as people see it, into docs/pictures; needs chromium
	@$(BIN)/python -m tests.pictures

bench: $(VENV)/.test  ## figures beside goals: starts, answers, calls, hostile notes, the job; docs/performance.md
	$(BIN)/python -m tests.proofs.bench

lock:  ## pin every dependency with hashes; needs uv
	$(UV_COMPILE) --all-extras --group test -o tests/requirements.txt
	$(UV_COMPILE) -c tests/requirements.txt -o functions/local/requirements.txt
	$(UV_COMPILE) -c tests/requirements.txt --extra aws -o functions/aws/requirements.txt
	$(UV_COMPILE) -c tests/requirements.txt --extra gcp -o functions/gcp/requirements.txt
	echo aws-sam-cli==1.170.0 | $(UV_COMPILE:pyproject.toml=-) -o tests/support/deploy/sam-requirements.txt

update: $(VENV)/.test  ## what is pinned and what is newest of it: tools of the job, images, Python
	@$(BIN)/python -m tests.proofs.newer

clean:
	rm -rf $(VENV) .state build .aws-sam

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

faults: $(VENV)/.test  ## what breaks and what is lost, all of it on all clouds; writes docs/reliability.md
	$(BIN)/python -m tests.proofs.faults
	$(PYTEST) --whole tests/functions/test_platforms.py tests/functions/test_rates.py \
		tests/templates/test_journeys.py

security: $(VENV)/.test  ## hostile input in great number, mutants, every threat's tests; writes SECURITY.md
	$(BIN)/python -m tests.proofs.security
	$(PYTEST) --whole tests/templates/test_confidential.py tests/templates/test_identity.py \
		tests/job/test_harmless.py

$(VENV)/.local: functions/local/requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.aws: functions/aws/requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@ $(VENV)/.local

$(VENV)/.test: tests/requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@ $(VENV)/.local $(VENV)/.aws

deploy-check: $(VENV)/.test  ## the deploy descriptors, offline: translated, linted, held against the code
	$(BIN)/python -m pytest tests/test_generate.py tests/shared/installation/test_providers.py \
		tests/deploy/test_template.py tests/deploy/test_template_models.py \
		tests/deploy/test_cloudbuild.py tests/deploy/test_bootstrap_gcp.py

release:  ## what a release carries, into DEST: zip, console template, component, SBOM, checksums
	@$(PYTHON) deploy/release.py "$(DEST)"

release-check:  ## that two clean clones make the same release, byte for byte
	@rm -rf build/release && mkdir -p build/release
	@for each in a b; do git clone --quiet . build/release/$$each && \
		$(PYTHON) build/release/$$each/deploy/release.py build/release/of-$$each; done
	@diff -r build/release/of-a build/release/of-b && cat build/release/of-a/SHA256SUMS

deploy-aws: $(VENV)/.aws  ## with the settings file, and no question; `sam deploy --guided` asks
	@$(CLI) deploy --platform aws --settings $(SETTINGS) $(ARGS)

bootstrap-gcp: $(VENV)/.local  ## once, by a person with rights: accounts, queue, claims, secrets
	@$(CLI) bootstrap --platform google --settings $(SETTINGS)

deploy-gcp: $(VENV)/.local  ## build and deploy the functions with the settings file
	@$(CLI) deploy --platform google --settings $(SETTINGS) $(ARGS)

# SAM calls these, one for each function; the three are the same bundle, so it is uploaded once.
build-ReceiveFunction build-DispatchFunction build-SweepFunction:
	@$(MAKE) --no-print-directory aws-bundle DEST="$(ARTIFACTS_DIR)"

aws-bundle:  ## what Lambda gets, into DEST; LAMBDA="--python 3.11 --machine x86_64" for another Lambda
	@$(PYTHON) deploy/bundle.py aws "$(DEST)" $(LAMBDA)

stage-gcp:  ## what Google's buildpack gets, into build/gcp
	@rm -rf build/gcp
	@$(PYTHON) deploy/bundle.py gcp build/gcp
