# The front door. Each target is one line that calls what does the work.
.DEFAULT_GOAL := help
.PHONY: help demo test build bench bench-quick lint format asan tsan simulate torture soak models sbom fuzz install

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
demo:  ## PostgreSQL into DuckDB before your eyes: copy, stream, kill -9, verify (SOURCE=postgres://... for your own)
	@scripts/demo $(SOURCE)
test:  ## install what is missing, build, run every test
	@scripts/test dev
build:  ## the release program, build/release/sluice
	@scripts/build release
bench:  ## copy, stream, latency, verify beside psql, pg_recvlogical and a subscription, with the goal of each (ONLY=CASE: one)
	@bench/run $(addprefix --only ,$(ONLY))
bench-quick:  ## a part of it with fewer rows, in three minutes
	@bench/run --quick
lint:  ## format, layers, paths, tests that documents name (scripts/lint --tidy adds clang-tidy)
	@scripts/lint
format:  ## let clang-format write
	@scripts/lint --format
asan:  ## the tests under AddressSanitizer and UBSan
	@scripts/test asan
tsan:  ## the tests under ThreadSanitizer
	@scripts/test tsan
simulate:  ## random schedules of faults against the core, SCHEDULES of them (default 1000000)
	@scripts/build dev --target simulation_test && SLUICE_SIMULATION_SEEDS=1-$(or $(SCHEDULES),1000000) build/dev/tests/simulation_test
torture:  ## kills, networks, disks and clocks that fail, on real servers, the long form: more than an hour
	@scripts/build dev && tests/failure/run.py --sluice build/dev/sluice --long
soak:  ## an hour of mixed load and faults (MINUTES=60): what must stay flat does, and both sides end equal; build/soak.csv, .svg
	@scripts/build dev && tests/failure/soak.py --sluice build/dev/sluice --minutes $(or $(MINUTES),60) --samples build/soak.csv --picture build/soak.svg
models:  ## the copy boundary in Spin: what must hold, and what must fail with a rule left out
	@scripts/setup run model && tests/models/run_models
sbom: build  ## what the release program is made of, as CycloneDX
	@scripts/sbom
fuzz:  ## every fuzz target, SECONDS each (default 60)
	@scripts/fuzz $(or $(SECONDS),60)
install: build  ## into PREFIX (default /usr/local)
	@cmake --install build/release --prefix $(or $(PREFIX),/usr/local)
