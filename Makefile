# What a developer runs. `make test` is also what CI runs (.ci/run).

# How many of each of the three kinds of cases `make fuzz` tries.
FUZZ_CASES ?= 400000

.PHONY: help demo setup check test bench faults fuzz simulate
.DEFAULT_GOAL := help
.NOTPARALLEL:

# One stage: prints its name, runs it, prints how long it took; the first that fails ends the run and is named.
define stage
@printf '\n==> %s\n' '$(1)'; started=$$(date +%s); \
if $(2); then printf '==> %s: done in %ss\n' '$(1)' $$(( $$(date +%s) - started )); \
else printf '==> %s: FAILED after %ss, in: %s\n' '$(1)' $$(( $$(date +%s) - started )) '$(subst ','\'',$(2))' >&2; exit 1; fi
endef

help:
	@echo 'make demo     starts Tollbook on this machine, sends it events, shows what they cost'
	@echo 'make test     everything CI checks: formatting, lints, documentation, all tests'
	@echo 'make check    the quick part of it: formatting, lints, documentation'
	@echo 'make setup    fetches what the others need beside Rust, once'
	@echo 'make faults   breaks everything at random while traffic flows, N=300 times; SEED=… makes a run again'
	@echo 'make bench    measures throughput on this machine'
	@echo 'make simulate runs the model of the exactly-once protocol for minutes (SIM_STEPS, SIM_SEED, SIM_FAULTS)'
	@echo 'make fuzz     tries a million broken and contradictory events on the way to their price; takes minutes'

demo: rust
	$(call stage,set up the engine,deploy/setup/run.sh engine)
	$(call stage,build,cargo build --release --locked -p cli)
	@deploy/demo.sh

setup: rust
	$(call stage,set up,deploy/setup/run.sh all)

check: rust
	$(call stage,format,cargo fmt --all --check)
	$(call stage,set up the compilers and the engine,deploy/setup/run.sh engine)
	$(call stage,lint,cargo clippy --workspace --all-targets --locked -- -D warnings)
	$(call stage,document,RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked)

# All in the dev profile, so that the C libraries (librdkafka, OpenSSL) are built once. The scenarios wait more than they
# compute, so four run at once.
test: setup check
	$(call stage,build,cargo build --workspace --locked && cargo test --workspace --locked --no-run)
	$(call stage,test,RUST_TEST_THREADS=4 cargo test --workspace --locked)

# The campaign of tests/it/campaign.rs, long; it ends with one line of verdict, and fails where anything is lost or doubled.
N ?= 300
SEED ?=
PROTOCOL ?= range
faults: rust
	$(call stage,set up,deploy/setup/run.sh all)
	$(call stage,build,cargo build --locked -p cli && cargo test --locked -p tests --test it --no-run)
	$(call stage,break $(N) times,N=$(N) SEED=$(SEED) PROTOCOL=$(PROTOCOL) cargo test --quiet --locked -p tests --test it campaign:: -- --nocapture)

bench: rust
	$(call stage,set up,deploy/setup/run.sh all)
	$(call stage,build,cargo build --release --locked -p cli)
	$(call stage,see that it has no fail points,! grep -qa TOLLBOOK_FAULTS target/release/tollbook)
	@target/release/tollbook bench

simulate: rust
	$(call stage,simulate,SIM_STEPS=$${SIM_STEPS:-500000000} cargo test --locked -p simulation -- --nocapture)

# In the dev profile, whose arithmetic is checked for overflow.
fuzz: rust
	$(call stage,fuzz,TOLLBOOK_FUZZ_CASES=$(FUZZ_CASES) cargo test --locked -p schemas --test fuzz -- --nocapture)

.PHONY: rust
rust:
	@command -v cargo > /dev/null || { \
	  echo 'cargo is not on the PATH: install Rust $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later, with clippy and rustfmt' >&2; exit 1; }
