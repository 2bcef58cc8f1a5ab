# Everything a newcomer needs; the work is done by the scripts these call.
.DEFAULT_GOAL := help
.SILENT:
.PHONY: help setup demo test sim fuzz bench fmt lock clean

help: ## Show this list
	awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with the locked dependencies and .venv/bin/copytrade
	scripts/setup

demo: setup ## Run the whole worker against a local Polymarket (FOR=30 stops after 30 s)
	.venv/bin/copytrade demo $(if $(FOR),--for $(FOR))

test: ## Run every check (ARGS="-k fees" goes to pytest)
	scripts/setup dev
	scripts/test $(ARGS)

sim: ## Play seeded worlds with faults (SEEDS=500 FROM=0; ARGS=--planted shows that known bugs are found)
	scripts/setup dev
	.venv/bin/python -m tests.simulation --seeds $(or $(SEEDS),0) --from $(or $(FROM),0) $(ARGS)

fuzz: ## Feed every reader of foreign input with bytes of any kind (SECONDS=60 for each; ARGS="--only chain")
	scripts/setup dev
	scripts/fuzz-tools
	.venv/bin/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(ARGS)

bench: ## Measure the hot path against its bars and its peers (a few minutes)
	scripts/setup dev
	scripts/bench-peers
	.venv/bin/python -m benchmarks.run

fmt: ## Format the code and apply the fixes that are safe
	scripts/setup dev
	.venv/bin/ruff check --fix-only --quiet .
	.venv/bin/ruff format --quiet .

.PHONY: day
day: ## Let the whole worker live through a day on virtual time and judge its money (ARGS="--hours 2 --seed 1")
	scripts/setup dev
	.venv/bin/python -m tests.day $(ARGS)

lock: ## Bring the locks in line with pyproject.toml (ARGS=--upgrade takes the newest of all)
	scripts/setup dev
	scripts/lock $(ARGS)
	scripts/setup dev

clean: ## Remove .venv and everything the tools leave behind
	rm -rf .venv .bench-venv .fuzz-venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
