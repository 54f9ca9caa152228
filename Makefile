# The front door. Every recipe is a line or two over cargo and the scripts beside it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help setup demo up test test-unit lint fmt clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and testing needs (Debian, as root), or say what is missing
	@scripts/setup-system.sh
	@scripts/setup-java.sh

demo: setup ## Run the main job on a local Kafka; ends by itself
	cargo run --release --locked -- demo

up: setup ## Everything in one process, with a local Kafka
	cargo run --release --locked -- up

test: setup ## All tests, on real Kafka and a real schema registry
	cargo test --workspace --locked

test-unit: ## Tests that need no Kafka
	cargo test --workspace --locked --lib --bins

lint: setup ## Format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format all code
	cargo fmt --all

clean: ## Remove build output
	cargo clean
