# make demo    set everything up, then park and retrieve a call with simulated phones   (make demo ARGS=--once)
# make test    set up what the tests need, lint, run every test                         (make test ARGS="-k park")
# make setup   .venv/bin/parkade and nothing more
# make lint    ruff, mypy, import-linter, import circles, codespell
# make compiled  the product with its pure rooms compiled to C, in build/compiled: half the processor time; needs a C compiler
# make install PREFIX=/opt/parkade   what operators run: a virtual environment with the compiled product
# make bench   calls per second and parked streams on this machine, compiled
# make reliability   what becomes of 1,000 parked callers and 200 conversations under kill -9; 15 min   (ARGS=--small: 30 callers, 40 s)
# make fuzz    random offices with damaged messages                         (make fuzz ARGS="--seeds 2000 --jobs 2")
# make days    offices whose server dies, a simulated day each          (make days ARGS="--days 2000 --jobs 2")
# make probe     made-up requests to the API, none of which may break it    (make probe ARGS="--examples 300 --only parked")
# make boards  random calls, and a board that only hears the events     (make boards ARGS="--calls 10000 --jobs 2")
# make lock    pin the dependencies of pyproject.toml anew

BIN := .venv/bin
CODE := $(foreach room,src tests bench tools examples,$(if $(wildcard $(room)/*.py $(room)/*/*.py),$(room)))

.PHONY: demo test setup dev debian compiled compiler install lint mypy bench reliability fuzz days boards probe lock
.DEFAULT_GOAL := setup

setup: .venv/ready-run

demo: setup
	@$(BIN)/parkade demo $(ARGS)

test: debian compiler lint
	@$(BIN)/python -m pytest $(ARGS)

lint: dev
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/python -m mypy $(CODE)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/import_cycles.py
	@$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs examples $(CODE)

mypy: dev
	@$(BIN)/python -m mypy $(CODE)

compiled: dev compiler
	@$(BIN)/python tools/compile_rooms.py build/compiled

install: dev compiler
	@tools/setup.sh install $(PREFIX)

bench: debian compiled
	@$(BIN)/python -m bench $(ARGS)

reliability: dev debian
	@$(BIN)/python -m bench.reliability $(ARGS)

days: dev
	@$(BIN)/python -m parkade.testing.days $(ARGS)

boards: dev
	@$(BIN)/python -m parkade.testing.boards $(ARGS)

fuzz: dev
	@$(BIN)/python -m parkade.testing.fuzz $(ARGS)

probe: dev
	@$(BIN)/python -m tests.api.probing $(ARGS)

dev: .venv/ready-dev

debian:
	@tools/setup.sh debian

compiler: .venv/ready-run
	@tools/setup.sh compiler

.venv/ready-run: requirements/run.txt pyproject.toml tools/setup.sh
	@tools/setup.sh run

.venv/ready-dev: requirements/dev.txt .venv/ready-run
	@tools/setup.sh dev

# A lock names versions and hashes, no place to fetch them from. Run it with the oldest Python we support.
lock: dev
	@for extra in run dev; do \
		$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
			--no-emit-find-links --no-emit-trusted-host --no-annotate --no-header \
			$$([ $$extra = dev ] && echo --extra=dev) --build-deps-for=editable \
			--output-file=requirements/$$extra.txt pyproject.toml; \
	done
