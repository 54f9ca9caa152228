# The front door. Every recipe is a line or two over cargo and the scripts beside it; CI runs `make lint` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help setup setup-tests demo up test test-unit test-matrix test-kills test-heal-kills test-replay chaos chaos-sabotage overload bench bench-stream bench-runs bench-scale bench-restore bench-growth bench-instructions lint lint-rust lint-deny lint-shell lint-deploy lint-prometheus fmt clean bench-heal

export CARGO_TERM_COLOR ?= auto
# CI builds everything once, so what a second build would gain from is left out.
ifdef CI
export CARGO_INCREMENTAL := 0
export CARGO_TERM_PROGRESS_WHEN := never
endif

# The product is measured as its users build it; its features must not mix with those of the harness.
BENCH = cargo build --release --locked && cargo run --release --locked --quiet --package prunella-bench --

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and testing needs (Debian, as root), or say what is missing
	@scripts/setup-system.sh
	@scripts/setup-java.sh

setup-tests: ## Install what tests need beyond that
	@scripts/setup-redis.sh

demo: setup ## The main job, and a source that changes, on a local Kafka; ends by itself
	cargo run --release --locked -- demo

up: setup ## Everything in one process, with a local Kafka
	cargo run --release --locked -- up

test: setup setup-tests ## All tests, on real Kafka, a real schema registry and a real Redis
	@scripts/fetch-test-data.sh
	cargo test --workspace --locked --no-fail-fast
	POINT=published:1 $(CHAOS) rounds_of_faults a_healer_killed_in_any_phase

test-unit: setup ## Tests that need no Kafka and no Redis
	cargo test --workspace --locked --lib --bins

test-matrix: setup setup-tests ## The end-to-end suite under every placement and guarantee
	@scripts/fetch-test-data.sh
	@scripts/test-matrix.sh

test-replay: setup ## Comparisons and interrupted replays of 100,000 records, and what a replay costs the live work
	cargo test --release --locked --package prunella --test e2e -- --nocapture --test-threads 1 --ignored replay

test-kills: setup ## 200 kills between the steps of transactions, staged and fused
	KILLS=200 cargo test --locked --package prunella --test e2e -- --nocapture kills

# A build of its own: a process that can be ended at a named point is not what users run.
CHAOS = cargo test --locked --package prunella --features chaos --test chaos -- --nocapture
ROUNDS ?= 5

chaos: setup ## Rounds of faults on three brokers, with an oracle; ROUNDS=20, SEED=7 repeats one
	ROUNDS=$(ROUNDS) $(CHAOS) rounds_of_faults

test-heal-kills: setup ## kill -9 of the healer in every phase of a healing, with two of them, under load
	$(CHAOS) healing

chaos-sabotage: setup ## Break what is promised, one thing at a time: each has to be noticed
	$(CHAOS) --ignored every_broken_promise_is_noticed

MINUTES ?= 10
overload: setup ## Twice what a process can take, for MINUTES=10: memory stays flat, nothing is lost
	MINUTES=$(MINUTES) cargo test --release --locked --package prunella --test e2e -- --nocapture overload_of

bench: setup ## Benchmarks, every figure beside a baseline; BENCH_ARGS="--rounds 1" for a short look
	@scripts/setup-valgrind.sh
	$(BENCH) all $(BENCH_ARGS)

bench-stream: setup ## Documents through a stream
	$(BENCH) stream $(BENCH_ARGS)

bench-runs: setup ## Runs from trigger to result
	$(BENCH) runs $(BENCH_ARGS)

bench-scale: setup ## One, two, four processes; coming and going
	$(BENCH) scale $(BENCH_ARGS)

bench-restore: setup ## Restart with many live runs
	$(BENCH) restore $(BENCH_ARGS)

bench-growth: setup ## What more steps and larger batches cost
	$(BENCH) growth $(BENCH_ARGS)

bench-instructions: setup ## Instructions of the hot path, counted by callgrind
	@scripts/setup-valgrind.sh
	$(BENCH) instructions $(BENCH_ARGS)

CASES ?= tests/drift
bench-heal: ## Repair the cases of CASES=DIR and grade it; ABLATE=INGREDIENT or all leaves out what a repair is made of
	@scripts/bench-heal.sh "$(CASES)" $(ABLATE)

lint: lint-rust lint-deny lint-shell lint-deploy ## All quick checks

lint-rust: setup ## Format and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --package prunella --package prunella-stream --features prunella/chaos --all-targets --locked -- -D warnings

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
