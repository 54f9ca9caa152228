# The front door. Every recipe is a line or two over cargo and the scripts beside it; CI runs `make lint` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help setup demo up test test-unit bench-heal lint lint-rust lint-deny lint-shell lint-deploy lint-prometheus fmt clean

export CARGO_TERM_COLOR ?= auto
# CI builds everything once, so what a second build would gain from is left out.
ifdef CI
export CARGO_INCREMENTAL := 0
export CARGO_TERM_PROGRESS_WHEN := never
endif

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and testing needs (Debian, as root), or say what is missing
	@scripts/setup-system.sh
	@scripts/setup-java.sh

demo: setup ## Run the main job on a local Kafka; ends by itself
	cargo run --release --locked -- demo

up: setup ## Everything in one process, with a local Kafka
	cargo run --release --locked -- up

test: setup ## All tests, on real Kafka and a real schema registry
	@scripts/fetch-test-data.sh
	cargo test --workspace --locked --no-fail-fast

test-unit: setup ## Tests that need no Kafka
	cargo test --workspace --locked --lib --bins

CASES ?= tests/drift
bench-heal: ## Repair the cases of CASES=DIR and grade it; ABLATE=INGREDIENT or all leaves out what a repair is made of
	@scripts/bench-heal.sh "$(CASES)" $(ABLATE)

lint: lint-rust lint-deny lint-shell lint-deploy ## All quick checks

lint-rust: setup ## Format and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

lint-deny: setup ## Licences, banned crates and sources of dependencies
	@scripts/lint-deny.sh

lint-shell: ## Shell scripts
	@scripts/lint-shell.sh

lint-deploy: setup ## Compose file, Dockerfile, Helm chart, dashboard, alerts, example configurations
	@scripts/lint-compose.sh
	@scripts/lint-helm.sh
	@scripts/lint-metrics.sh
	@scripts/lint-config.sh

lint-prometheus: ## Prometheus' configuration and alerts by promtool, whose first build takes minutes
	@scripts/lint-prometheus.sh

fmt: ## Format all code
	cargo fmt --all

clean: ## Remove build output
	cargo clean
