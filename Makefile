# Two commands to start with: `make demo` and `make test`. PYTHON names the interpreter (3.11).
PYTHON ?= python3.11
CORES ?= 2
MAIN := .venv/main/bin
export PYTHON
# Without bytecode each process would compile the library and its packages anew: twice the time of small jobs.
unexport PYTHONDONTWRITEBYTECODE
export NEUROSCALING_BRAINSCORE_PYTHON ?= $(CURDIR)/.venv/brainscore/bin/python
STUDY = config/studies/$*.yaml

.PHONY: help env demo demo-full v4 published test test-fast lint format lock perf schema docs shell .venv/main .venv/brainscore

help: ## show the targets
	@grep -E '^[a-z0-9%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

env: .venv/main .venv/brainscore ## build both environments from the locks in envs/

.venv/main .venv/brainscore:
	@envs/build.sh $(notdir $@)

demo: study-demo ## run the demo (20 small networks) and print where its report is

demo-full: study-demo-full ## run the demo with three widths of each family (60 networks), what the demo made included

v4: study-v4 ## run the study on real V4 neurons (NEUROSCALING_V4_DIR: a folder with the recordings)

published: study-published ## fit the laws of the published scores (NEUROSCALING_PUBLISHED_DIR: a folder with the tables)

study-%: ## run config/studies/NAME.yaml: make study-NAME
	@[ -e "$(STUDY)" ] || { \
		echo "$(STUDY): there is no such study; the studies: $$(ls config/studies | sed 's/[.]yaml$$//' | xargs)" >&2; exit 1; }
	@NEUROSCALING_CHECK="$(STUDY)" $(MAKE) --no-print-directory env
	@$(MAIN)/neuroscaling run $(STUDY) --cores $(CORES)

test-fast: .venv/main ## run the tests that take no pipeline, Slurm or browser, and less than ten seconds each
	@OMP_NUM_THREADS=1 $(MAIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder \
		-m "not workflow and not slow and not slurm and not browser"

test: env ## run the whole test suite, CORES tests at once
	@OMP_NUM_THREADS=1 $(MAIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

lint: env ## ruff, snakefmt, snakemake --lint, the contracts of imports, and types
	@$(MAIN)/ruff check .
	@$(MAIN)/ruff format --check .
	@$(MAIN)/snakefmt --check Snakefile workflow
	@$(MAIN)/snakemake --lint --config study=config/studies/demo.yaml
	@PYTHONPATH=src $(MAIN)/lint-imports
	@$(MAIN)/mypy

format: env ## bring the code into its form
	@$(MAIN)/ruff check --fix .
	@$(MAIN)/ruff format .
	@$(MAIN)/snakefmt Snakefile workflow

schema: env ## write config/README.md, the schemas beside it and docs/reference/cli.md from the definitions
	@$(MAIN)/neuroscaling schema

shell: env ## open a shell in which `neuroscaling`, `snakemake` and `python` are those of .venv/main
	@echo "Begun: a shell with the commands of .venv/main. exit leaves it." >&2
	@PATH="$(CURDIR)/$(MAIN):$$PATH" VIRTUAL_ENV="$(CURDIR)/.venv/main" "$${SHELL:-bash}"

docs: env ## build the documentation site in site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(MAIN)/mkdocs build --strict --quiet
	@echo "The documents: $(CURDIR)/site/index.html"

lock: ## resolve the environments anew and write the locks
	@envs/lock.sh --upgrade

perf: env ## run the side-by-side speed comparisons
	@for script in perf/*.py; do [ -e "$$script" ] || continue; $(MAIN)/python $$script || exit 1; done
