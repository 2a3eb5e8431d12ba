# Everything one does with this repository. `make` alone says what there is.
# Each target is a script in tools/; CARGO_TARGET_DIR is respected everywhere.

.DEFAULT_GOAL := help
.PHONY: help run test dev dist sizes measure readme lint audit tools prove-sim prove-mutants prove-fuzz prove-kill prove-power prove-disk prove-database prove-flood prove-slow prove-storm prove-soak prove-autobahn

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Install what is missing, build, and serve http://127.0.0.1:3000 with ./data
	@tools/run

test: ## Install what is missing, then run every check and every test
	@tools/test

dev: ## Serve a debug build that rebuilds and reloads the page at each save
	@tools/dev

dist: ## Build dist/wasmchannel, the one file that is the whole product
	@tools/dist

measure: ## Print what a delivery costs in CPU, and an idle connection in memory
	@tools/measure

sizes: ## Build for browser and server, dev and release, and print what they weigh
	@tools/sizes

readme: ## Run the commands of the documents, as their reader would
	@tools/readme

lint: ## Formatting, clippy with warnings denied, tidy, and the types of the browser suite
	@tools/lint

audit: ## Licences, sources, bans and advisories of all dependencies, by cargo-deny
	@tools/audit

tools: ## Install what is missing to build, and say what there is
	@tools/install

prove-sim: ## Simulate seeds that were never tried, for BUDGET_S seconds; see docs/proof.md
	@tools/prove sim

prove-mutants: ## Plant faults in the engine and see that the simulation finds each
	@tools/prove mutants

prove-fuzz: ## Give hostile bytes to every reader of what strangers send, for BUDGET_S seconds
	@tools/prove fuzz

prove-kill: ## Kill the server under load for BUDGET_S seconds; see docs/proof.md
	@tools/prove kill

prove-power: ## Cut the power at any moment of a record, for BUDGET_S seconds; see docs/proof.md
	@tools/prove power

prove-flood: ## Hold 10,000 idle sockets while others open things and say nothing
	@tools/prove flood

prove-slow: ## Let a fifth of 500 listeners stop reading, and see that the others do not notice
	@tools/prove slow

prove-storm: ## Restart and crash the server under 5,000 clients, who all come back
	@tools/prove storm

prove-soak: ## Use the server for BUDGET_S seconds over the data of the last time
	@tools/prove soak

prove-disk: ## Fill the disk, and let it fail, for BUDGET_S seconds; see docs/proof.md
	@tools/prove disk

prove-database: ## Lock, end and stop the database for BUDGET_S seconds; see docs/proof.md
	@tools/prove database

prove-autobahn: ## Let Autobahn's fuzzing client at the reader of frames, where there is a Python 2.7
	@tools/prove autobahn
