# Verbs of this project. `make help` prints them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
PYTEST := pytest -q
UNIT := tests/domain tests/decide tests/render tests/cluster tests/routers tests/controller tests/measure tests/chart \
        tests/demo tests/devcluster tests/benchmarks tests/repository tests/explain tests/simulate tests/simulation tests/test_settings.py

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  \1\t/' | expand -t 16

setup: ## install everything that is missing (the other verbs call it)
	@tools/setup.sh

demo: setup ## the main job on a real cluster: a good version goes through, bad ones come back; KEEP=1 leaves it up
	python -m demo

up: setup ## a development cluster with the operator in it; prints its addresses
	python -m devcluster up --mlserver

down: setup ## take the development cluster down (NAME=demo: the one that KEEP=1 make demo left up); leaves nothing
	python -m devcluster down --name $(or $(NAME),dev)

run: setup ## the operator on this host against the development cluster (started without its own operator)
	python -m devcluster run

check: setup ## lint, types, import directions, and that generated files are current
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	python charts/render_manifests.py --check
	python -m docs.generate --check

test: check unit wire conformance e2e ## every ring that this machine can run

unit: setup ## pure tests and the simulation, about a minute
	$(PYTEST) -n auto $(UNIT)

vectors: setup ## the vectors of the analysis, or those of FILE=…; names each that does not hold
	@python -m tests.decide.vectors $(if $(FILE),"$(FILE)")

wire: setup ## kopf and adapters against an in-process API server, for faults a real one cannot be made to show
	$(PYTEST) tests/wire

conformance: setup ## CRD, manifests and adapters against a real API server; replay against a real Prometheus
	$(PYTEST) tests/conformance tests/crds

e2e: setup ## the whole on a real cluster: kubelet, Traefik, Prometheus, model servers, requests
	$(PYTEST) tests/e2e

goldens: setup ## rewrite what is rendered; the diff is the review
	python -m tests.render.write_goldens
	python -m tests.explain.write_golden
	python -m tests.chart.write_snapshots

generate: setup ## rewrite manifests/, the copies of the CRD and docs/reference/
	python charts/render_manifests.py
	python -m docs.generate
	python -m tests.simulate.write_fields

lock: ## resolve the lock files anew, with hashes
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group dev -o requirements-dev.lock

image: setup ## build all images with buildah: the operator from its Dockerfile, MLServer for the demo
	python -m devcluster images

bench: setup ## measure, and write benchmarks/results/
	python -m benchmarks

format: setup ## let ruff format and fix what it can
	ruff format .
	ruff check --fix .

.PHONY: help setup demo up down run check test unit vectors wire conformance e2e goldens generate lock image bench format
