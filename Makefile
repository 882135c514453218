# Everything runs in .venv, which is made from requirements.lock. Needed on the machine: Python 3.11 or later, git, make.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.8
UPGRADE := --upgrade
LOCKED := --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" --quiet
# Also where the machine says otherwise: each process that a test starts would compile the libraries anew.
export PYTHONDONTWRITEBYTECODE :=

# What is fast to test: no library, no file, no process.
CORE := tests/core tests/specs airflow_mlops/core airflow_mlops/specs

.PHONY: help demo quick changed test lint unit integration docs new-step picture house bench lock secrets clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/installed  ## Start Airflow and MLflow and tell one model's story (DEMO_EXIT=1: end after it)
	@PYTHONPATH=. $(BIN)/python -m include.demo

quick: .venv/installed  ## Check style, types, floors, core and specs, in half a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not statistics" --numprocesses 2 --dist worksteal $(CORE)

changed: .venv/installed  ## Run the tests of what differs from main (IMPORTERS=1: and of what imports it)
	$(BIN)/python -m tests.changed $(if $(IMPORTERS),--importers)

test: lint unit integration docs  ## Check everything: lint, types, floors, unit, docs, integration, the demo

lint: .venv/installed  ## Check style, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: .venv/installed  ## Run what needs no server; no line of the core is left out
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --cov --cov-report=term $(CORE)
	$(BIN)/python -m pytest -m "not standalone" --numprocesses 2 --dist loadfile $(CORE:%=--ignore=%)

integration: .venv/installed  ## Run what starts Airflow and MLflow, the demo among it
	$(BIN)/python -m pytest -m standalone

docs: .venv/installed  ## Build the site, warnings being errors
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

new-step: .venv/installed  ## Write the files of a new step: make new-step NAME=check_units STAGE=validation
	@PYTHONPATH=. $(BIN)/python -m tools.new_step "$(NAME)" "$(STAGE)"

picture: .venv/installed  ## Draw the flow from its declaration in README and docs
	PYTHONPATH=. $(BIN)/python -m tools.flow_picture

house: .venv/installed  ## Print the house in figures: files per folder, arrows, names, comments, lines
	@PYTHONPATH=. $(BIN)/python -m tools.house

bench: .venv/installed  ## Run the benchmarks, or one of them: make bench ONLY=parse
	PYTHONPATH=. $(BIN)/python -m benchmarks $(ONLY)

lock: .venv/uv  ## Choose the newest versions that fit and write both locks (UPGRADE=: only what has to change)
	$(BIN)/uv pip compile $(UPGRADE) $(LOCKED) --all-extras setup.cfg -o requirements.lock
	@# Models are loaded by the versions that stored them, so these are the same.
	$(BIN)/uv pip compile $(LOCKED) --constraint requirements.lock runtime/setup.cfg -o runtime/requirements.lock

secrets:  ## Make the secrets that docker-compose.yaml reads, once
	@mkdir -p -m 700 .secrets  # the files in it are readable, since containers run as another user
	@cd .secrets && \
	    for name in postgres_password fernet_key api_secret jwt_secret admin_password serve_token; do \
	        [ -s $$name ] || $(PYTHON) -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode(), end="")' > $$name; \
	    done && \
	    printf 'postgresql+psycopg2://mlops:%s@postgres/airflow' "$$(cat postgres_password)" > airflow_database && \
	    printf 'postgresql+psycopg2://mlops:%s@postgres/mlflow' "$$(cat postgres_password)" > mlflow_database && \
	    printf '{"admin": "%s"}' "$$(cat admin_password)" > airflow_users
	@echo "Written to .secrets. The login is admin, with the password in .secrets/admin_password."

clean:  ## Remove what was made, the environment too
	rm -rf .venv .demo build docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage

.venv/uv:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or later, or: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: Python 3.11 or later is needed. Or: make PYTHON=/path/to/python3.11"; exit 1; }
	@command -v git >/dev/null || { echo "git is missing. Install it and run make again."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/installed: .venv/uv requirements.lock setup.cfg
	$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@rm -rf airflow_mlops.egg-info build  # left by the install; on PYTHONPATH it would register everything twice
	@touch $@
