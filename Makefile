# Each target sets up what it needs: Python 3.11 or newer is all a machine must have.
SOURCE ?= simulated
FILES ?=
ARGS ?=

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
# the first that runs and is new enough: a pyenv shim may exist and still refuse to start
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# nothing here tells a server that it was used
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

# container images set it; then each process compiles what it imports again: of dbt 1 s, of MLflow 2
unexport PYTHONDONTWRITEBYTECODE

# dbt on a home of its own, without a lake; what it parsed is kept, so that the next check parses only what changed
LINT_HOME := $(CURDIR)/$(VENV)/lint
IN_WAREHOUSE = mkdir -p -m 700 $(LINT_HOME) && cd warehouse && export LOANLAKE_HOME=$(LINT_HOME) \
	DBT_TARGET_PATH=$(LINT_HOME)/target DBT_LOG_PATH=$(LINT_HOME)/logs PATH="$(BIN):$$PATH" &&

.PHONY: help setup run up test test-extended lint lint-sql lint-features lint-deploy format bench bench-serving load docs lock torch spark
.DEFAULT_GOAL := help

help:
	@echo "make run [SOURCE=simulated] [FILES=...]  raw files to a published, monitored model"
	@echo "make up                                  Dagster, the API and MLflow together; Ctrl-C stops all"
	@echo "make test [ARGS=...]                     all tests but the next; ARGS goes to pytest"
	@echo "make test-extended [ARGS=...]            the API killed, starved and fuzzed, builds in pieces, restated rows, streams, a team, a wheel: 10 minutes"
	@echo "make lint                                features, style, types, import rules, SQL"
	@echo "make lint-sql                            in seconds: the features, and the SQL that you changed"
	@echo "make format                              let ruff rewrite what it can"
	@echo "make bench [ARGS=...]                    the performance claims, each against its peer"
	@echo "make bench-serving                       those of scores over HTTP alone, and their cost by family"
	@echo "make load [ARGS=--long]                  the load profile of a lender, with a report: 3 minutes, or 5 hours"
	@echo "make docs                                the generated pages of docs/ from the code"
	@echo "make setup                               only the environment, .venv/"
	@echo "make torch                               PyTorch into .venv/, as locked, for the family tab_transformer: 5 GB on Linux"
	@echo "make spark                               Apache Spark and Java into .venv/, as locked: 600 MB"
	@echo "make lock                                requirements.lock from pyproject.toml"
	@echo "make lint-deploy                         deploy/: the image's steps, compose, Kubernetes, Terraform, by their own tools"

setup: $(READY)

run: setup
	$(BIN)/loanlake run $(SOURCE) $(FILES)

up: setup
	$(BIN)/loanlake up

# a file's tests stay in one process: what they set up together is set up once. In the order of the folders, which begins
# with the long files: by default xdist keeps those of few tests, which are the long ones, for the end
DISTRIBUTED := --dist loadfile --no-loadscope-reorder

test: setup
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 $(DISTRIBUTED) -m "not extended" $(ARGS)

# three processes: these tests put load on the machine themselves, but wait as much as they compute. Long files first,
# unless ARGS names some. Each process reads all files that it is given: tests/unit, which has none, would take it 10 s
test-extended: setup
	$(BIN)/pytest --numprocesses 3 $(DISTRIBUTED) -m extended \
		$(if $(findstring tests/,$(ARGS)),,tests/integration tests/failure) $(ARGS)

# what can be said in seconds comes first; sqlfluff over every model takes a minute or more
lint: lint-features
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(IN_WAREHOUSE) sqlfluff lint --processes 0 models analyses

# while SQL is edited: the versions of the features, then sqlfluff on the models that differ from the last commit, or on
# all where this copy is of no commit
lint-sql: lint-features
	$(IN_WAREHOUSE) if git cat-file -e HEAD:./dbt_project.yml 2> /dev/null; then \
			changed=$$(git diff --relative --name-only --diff-filter=d HEAD -- models analyses | grep '\.sql$$'; \
				git ls-files --others --exclude-standard -- models analyses | grep '\.sql$$'); \
		else \
			echo "no git commit to compare with: all models are checked, in a minute or more"; changed="--processes 0 models analyses"; \
		fi; \
		test -z "$$changed" || sqlfluff lint $$changed

lint-features: setup
	$(IN_WAREHOUSE) \
		{ dbt --quiet compile --target prod --no-introspect --indirect-selection empty --select "ftr_application*" > "$$LOANLAKE_HOME/compiled" || \
			{ cat "$$LOANLAKE_HOME/compiled"; false; }; } && \
		python -m warehouse.features.lint "$$LOANLAKE_HOME/target/manifest.json" && \
		python -m ml.lender_check.settings "$$LOANLAKE_HOME/target/manifest.json"

# these tools pin packages that are others in .venv/: an environment of their own. checkov looks nothing up; which of its
# checks are left out, and why, is in deploy/README.md
CHECKS := $(VENV)/checks
LINT_DEPLOY_LOCK := awk '/^[a-z]/ { found = sub(/extra == \047lint-deploy\047/, "python_version >= \0473\047") } found'
$(CHECKS)/.ready: requirements.lock | $(READY)
	PATH="$(BIN):$$PATH" uv venv --quiet --clear --python $(BIN)/python $(CHECKS)
	$(LINT_DEPLOY_LOCK) requirements.lock > $(CHECKS)/checks.lock
	PATH="$(BIN):$$PATH" uv pip sync --quiet --python $(CHECKS)/bin/python --require-hashes $(CHECKS)/checks.lock
	touch $@

CHECKS_LEFT_OUT := CKV_DOCKER_7,CKV_K8S_14,CKV_K8S_21,CKV_K8S_35,CKV_K8S_43
lint-deploy: $(CHECKS)/.ready
	$(CHECKS)/bin/hadolint deploy/image/Dockerfile
	cd deploy/compose && sed 's/=$$/=placeholder/' env.example > $(CURDIR)/$(CHECKS)/env && \
		$(CURDIR)/$(CHECKS)/bin/docker-compose --env-file $(CURDIR)/$(CHECKS)/env config --quiet
	BC_SKIP_MAPPING=TRUE $(CHECKS)/bin/checkov --skip-download --compact --quiet --skip-check $(CHECKS_LEFT_OUT) \
		--framework dockerfile kubernetes terraform --directory deploy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

bench-serving: setup
	$(BIN)/python -m benchmarks serving.reasons serving.scores serving.families

load: setup
	$(BIN)/python -m benchmarks.serving.load_profile $(ARGS)

docs: setup
	$(BIN)/python -m warehouse.cli.pages

COMPILED := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
COMPILE := $(COMPILED) pyproject.toml --group dev

# What only the extra torch or spark needs stands at the end, under a marker that is false: 7 GB and half a gigabyte that
# nobody else downloads. So do the tools of lint-deploy, some of whose packages stand above in another version
LARGE := torch spark
lock: setup
	$(LINT_DEPLOY_LOCK) requirements.lock > $(VENV)/checks.lock
	awk '/^[a-z]/ { found = /extra == .lint-deploy/ } !found' requirements.lock > $(VENV)/main.lock
	cp $(VENV)/main.lock requirements.lock
	$(BIN)/$(COMPILE) --output-file requirements.lock
	for extra in $(LARGE); do \
		cp requirements.lock $(VENV)/$$extra.lock && \
		$(BIN)/$(COMPILE) --extra $$extra --output-file $(VENV)/$$extra.lock && \
		awk -v extra="$$extra" 'NR == FNR { if (/^[a-z]/) { pins[$$1]; split($$1, name, "=="); names[name[1]] } next } \
			/^[a-z]/ { only = !($$1 in pins); split($$1, name, "=="); \
				if (only && name[1] in names) { print "the extra " extra " moves the pin of " name[1] > "/dev/stderr"; exit 1 } \
				marker = " ; extra == \047" extra "\047"; \
				if (sub(/ ; /, marker " and (")) sub(/ \\$$/, ")&"); else sub(/ \\$$/, marker "&") } \
			only' requirements.lock $(VENV)/$$extra.lock > $(VENV)/only_$$extra.lock || exit 1; \
	done
	$(BIN)/$(COMPILED) --group pyproject.toml:lint-deploy --output-file $(VENV)/checks.lock
	awk '/^[a-z]/ { if (sub(/ ; /, " ; extra == \047lint-deploy\047 and (")) sub(/ \\$$/, ") \\"); \
		else sub(/ \\$$/, " ; extra == \047lint-deploy\047 \\") } { print }' $(VENV)/checks.lock > $(VENV)/only_checks.lock
	cat $(LARGE:%=$(VENV)/only_%.lock) $(VENV)/only_checks.lock >> requirements.lock

$(LARGE): setup
	sed "s/extra == '$@'/python_version >= '3'/" requirements.lock > $(VENV)/$@.lock
	PATH="$(BIN):$$PATH" uv pip install --quiet --python $(BIN)/python --require-hashes --requirement $(VENV)/$@.lock

# uv is in the lock too: where the machine has none, pip installs that version with its hashes into the new environment,
# which also a Python that its system manages (PEP 668) allows, or one whose venv comes without pip
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Loanlake needs Python 3.11 or newer: none of python3.11, python3.12, python3.13, python3 is" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --clear --without-pip $(VENV)
	test -x $(BIN)/uv || command -v uv >/dev/null || { \
		awk '/^uv==/ { found = 1 } found { print } found && !/\\$$/ { exit }' requirements.lock > $(VENV)/uv.lock && \
		{ $(BIN)/python -m pip --version >/dev/null 2>&1 && pip="$(BIN)/python -m pip" || \
		pip="$(PYTHON) -m pip --python $(BIN)/python"; } && \
		$$pip install --quiet --require-hashes --requirement $(VENV)/uv.lock; }
	PATH="$(BIN):$$PATH" uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	PATH="$(BIN):$$PATH" uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(READY)
