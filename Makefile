# The one front door: everything a person or CI does with this repository.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE := $(or $(CROSSFADE_LAB_CACHE),$(HOME)/.cache/crossfade-lab)
DENY := $(CACHE)/cargo-deny-0.20.2/bin/cargo-deny

include tests/lab/lab.mk

.PHONY: help demo test lint unit lab-test planes chaos bench bench-judgement bench-mirror model mutants

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14
	@echo 'lab-install   Install or build what the lab needs'
	@echo 'lab-up        Start two real clusters, HAProxy and Prometheus'
	@echo 'lab-status    Show how the lab is, and what to type next'
	@echo 'lab-down      End the lab without a trace'

demo: ## Watch a whole migration inside one process
	cargo run --release -- demo

test: lab-install lint unit lab-test ## Everything: format, lints, tests, the lab (needs root)

lint: ## Format, clippy, documentation, shell scripts, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features lab -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
	shellcheck --external-sources tests/lab/lab tests/mutants/run docs/plane.sh $$(find tests/lab -name '*.sh')
	$(DENY) --log-level error check bans licenses sources

unit: ## Unit, property, golden and documentation tests, and the demo
	cargo test --workspace --features lab -- --skip lab::
	cargo test --features lab --bench core

chaos: ## Kill it everywhere, break everything around it, roll back 100 times (needs root)
	@CROSSFADE_CHAOS=whole $(MAKE) lab-test LAB_TESTS="lab::kills lab::faults lab::latency lab::scenarios::c_"

bench-mirror: lab-install ## The mirror beside a bare apply loop on the same server (SERVICES=1000, ten objects each; needs root)
	@set -e; trap '[ -n "$(KEEP_LAB)" ] || tests/lab/lab down' EXIT; \
	tests/lab/lab up; \
	cargo bench --bench mirror -- --services $(or $(SERVICES),1000)

# Whatever happens in between, the lab does not stay behind, unless somebody works with it: make test KEEP_LAB=1.
lab-test: lab-install ## The scenarios between two real clusters
	@set -e; trap '[ -n "$(KEEP_LAB)" ] || tests/lab/lab down' EXIT; \
	tests/lab/lab up; \
	cargo test --workspace --features lab --test it -- $(or $(LAB_TESTS),lab::) --test-threads 1 --nocapture; \
	cargo test --bench mirror -- --services 30

planes: lab-install ## Every driver on the real thing, 20,000 requests at each weight: the matrix of docs/planes.md
	@CROSSFADE_PLANES=whole cargo test --workspace --features lab --test it -- lab::planes:: --test-threads 1 --nocapture

bench-judgement: ## A million healthy comparisons, and how soon a bad target is found, beside other rules
	cargo bench --bench judgement

bench: bench-judgement ## Judgement, deciding, stories, the journal, a restart, asking Prometheus: each beside its goal or its limit
	cargo bench --bench core
	cargo bench --bench asking

mutants: ## Plant every mistake into the core and see which test finds it (MUTANTS="gate/slo.rs": of some files; hours)
	tests/mutants/run $(MUTANTS)

model: ## Try everything that two controllers and a plane can come to, within bounds
	cargo run --release -- simulate --exhaustive
