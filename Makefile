# Two commands do all the set-up: `make run` and `make test`. The rest is for people who work on the project.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# pip compiles on one core, and where PYTHONDONTWRITEBYTECODE is set nobody compiles us: each process would do it anew.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
COMPILE = @$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' features training serving benchmarks client tests \
	$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') >/dev/null 2>&1 || true
PORT ?= 3000
# Tests side by side: files in order, to whichever of two processes is free.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder
DATA ?= $(LISTING_RISK_DATA)
export OMP_NUM_THREADS ?= 1

.PHONY: help run stop test check pytest starter benchmark benchmark-serving benchmark-batch benchmark-relisting sample hard-knocks docs clean sbom release

help:
	@echo "make run        install what serving needs and start the service with the sample catalogue (Ctrl-C ends it)"
	@echo "make test       install everything, check the code, run every test"
	@echo "make check      ruff, pyright, import rules"
	@echo "make starter    train the starter bundle      (needs LISTING_RISK_DATA)"
	@echo "make benchmark  measure against baselines, 20 to 30 minutes (needs LISTING_RISK_DATA)"
	@echo "make benchmark-serving     speed and cost beside four other ways of serving (12 minutes)"
	@echo "make benchmark-batch       speed of whole files by engine, and the plan past one machine (10 minutes)"
	@echo "make benchmark-relisting   banned goods that come back: photos, words, speed (needs LISTING_RISK_DATA)"
	@echo "make hard-knocks   faults, attacks, 20 minutes of load: 45 minutes"
	@echo "make release    wheel, bill of materials and licences, in dist/"
	@echo "make stop       stop a service started with DETACH=1"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; install it or set PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1' # twice as fast as that of 2023

$(VENV)/.serving: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what serving needs (no torch) ..."
	$(PIP) -e '.[images,matching]'
	$(COMPILE)
	@touch $@

$(VENV)/.everything: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing everything, with torch for the CPU; this takes some minutes ..."
	$(PIP) -e '.[train,finetune,e5,images,matching,laboratory,postgresql,ray,spark,dev$(EXTRA)]'
	$(COMPILE)
	@touch $@ $(VENV)/.serving

# EXTRA=,fuzz adds the fuzzer, which has wheels for Linux only.
# DETACH=1 leaves the service running and returns; `make stop` ends it.
run: $(VENV)/.serving
	@$(BIN)/listing-risk demo --port $(PORT) $(if $(DETACH),--detach)

stop:
	@$(BIN)/listing-risk demo --stop --port $(PORT)

check: $(VENV)/.everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Tests wait for services that start and for files that are written: the checks run in that time.
test: $(VENV)/.everything
	@$(MAKE) --no-print-directory --jobs 2 check pytest

pytest: $(VENV)/.everything
	$(BIN)/python -m pytest $(BESIDE) $(PYTEST_ARGS)

starter: $(VENV)/.everything
	@test -n "$(DATA)" || { echo "set LISTING_RISK_DATA to the folder with past results"; exit 2; }
	$(BIN)/listing-risk train --config training/starter.yaml --data "$(DATA)" --output serving/starter

# Every figure of quality and robustness in docs/benchmarks.md. Runs are filed in MLflow, in .listing-risk/mlflow.db where
# MLFLOW_TRACKING_URI names no other place.
benchmark: $(VENV)/.everything
	@echo "this takes 20 to 30 minutes; every run counts as a look at the test parts (benchmarks/results/looks.jsonl)"
	@test -n "$(DATA)" || { echo "set LISTING_RISK_DATA to the folder with past results"; exit 2; }
	LISTING_RISK_DATA="$(DATA)" $(BIN)/python -m benchmarks.quality.run
	LISTING_RISK_DATA="$(DATA)" $(BIN)/python -m benchmarks.quality.strictness
	LISTING_RISK_DATA="$(DATA)" $(BIN)/python -m benchmarks.robustness.run
	$(BIN)/python -m benchmarks.document

# Twelve minutes on two cores, nine of them load, on a machine that does nothing else. PEER_ENV and AUTOGLUON_ENV are
# environments of the peers; they are made (some minutes, 3 GB) where they are not.
benchmark-serving: $(VENV)/.everything
	@echo "this takes about 12 minutes; other work on the machine spoils it"
	PEER_ENV="$${PEER_ENV:-.cache/peers/day}" AUTOGLUON_ENV="$${AUTOGLUON_ENV:-.cache/peers/autogluon}" \
		LISTING_RISK_DATA="$(DATA)" $(BIN)/python -m benchmarks.serving.run
	$(BIN)/python -m benchmarks.serving.chart
	$(BIN)/python -m benchmarks.document

benchmark-batch: $(VENV)/.everything
	@echo "this takes about 10 minutes; other work on the machine spoils it"
	LISTING_RISK_DATA="$(DATA)" $(BIN)/python -m benchmarks.batch.run
	$(BIN)/python -m benchmarks.scaling --refresh --measure
	$(BIN)/python -m benchmarks.document

# An hour on two cores. The page of hits and misses shows third-party photos: it stays in .cache.
benchmark-relisting: $(VENV)/.everything
	@test -n "$(DATA)" || { echo "set LISTING_RISK_DATA to the folder with the photos and offers"; exit 2; }
	$(BIN)/python -m benchmarks.relisting.run --data "$(DATA)" --picture .cache/relisting/hits_and_misses.png
	$(BIN)/python -m benchmarks.relisting.text --data "$(DATA)"
	$(BIN)/python -m benchmarks.relisting.image_category --data "$(DATA)"
	$(BIN)/python -m benchmarks.relisting.speed
	$(BIN)/python -m benchmarks.relisting.example
	$(BIN)/python -m benchmarks.document

# 42 minutes on two cores: faults and attacks in their long form, what only runs here, then twenty minutes of load.
hard-knocks: $(VENV)/.everything
	@echo "faults and attacks in their long form, 20 to 25 minutes on two cores; then the soak, 21 minutes"
	$(BIN)/python -m pytest $(BESIDE) tests/hard_knocks tests/integration/test_service_kill.py \
		tests/integration/test_store_kill.py tests/integration/test_index_kill.py tests/integration/test_batch_kill.py \
		tests/docs/test_commands.py tests/notebooks --long $(PYTEST_ARGS)
	$(BIN)/python -m pytest $(BESIDE) --long -m long $(PYTEST_ARGS)
	$(BIN)/python -m benchmarks.soak.run
	$(BIN)/python -m benchmarks.document

# What a release is made of: the bill of materials (CycloneDX, validated) and every licence.
sbom: $(VENV)/.everything
	$(BIN)/listing-risk licences --check
	@mkdir -p dist
	$(BIN)/listing-risk licences --json > dist/licences.json
	$(BIN)/python deploy/sbom.py dist/sbom.json

release: sbom
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	cd dist && sha256sum *.whl sbom.json licences.json > SHA256SUMS

# The documents as a site, in English and Korean, in site/.
docs: $(VENV)/.everything
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) site .pytest_cache .ruff_cache .hypothesis
