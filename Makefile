# Rebuilds all results from data/ and code. Run `make` to list the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
UV     ?= uv
VENV   ?= .venv
BIN    := $(VENV)/bin

# Snapshots of the registries are not committed, but reports name the last one.
SNAPSHOTS := $(wildcard data/registry/snapshots/*.json)

# The stamps are inside the environment, so that they are deleted with it.
LOCKED    := $(VENV)/installed-from-the-lock
INSTALLED := $(VENV)/installed-the-package
PIP       := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# Files of parameter sets for `make batch`, and number of reports (or files of tests) run in parallel.
SETS    ?= $(wildcard runs/*.yml)
WORKERS ?= 2

# Tests of a file run in one process, files in parallel.
TESTS := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# One line per package, with the hash of every file and without an index: pip uses the index it is configured for.
COMPILE   := $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
             --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(UPGRADE)

.PHONY: batch batch-pdf bench fuzz help review test check lab notebooks browser cluster lock clean environment grid parquet pull r-check fuzz-atheris living release site site-test zenodo club slides worksheet solutions worksheet-pdf

help:  ## list all targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1	/p' $(firstword $(MAKEFILE_LIST)) | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

review: $(INSTALLED)  ## run all notebooks that are out of date: reports/index.html
	$(BIN)/cellclaims review

test: $(INSTALLED)  ## run all tests
	$(TESTS)

check: $(INSTALLED)  ## check the evidence tables and the style of the code
	$(BIN)/cellclaims check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

batch: $(INSTALLED)  ## run reports of parameter sets into reports/batch/ (SETS="runs/by_product.yml ...")
	for sets in $(SETS); do $(BIN)/cellclaims batch $$sets --workers $(WORKERS) || exit; done

batch-pdf: batch  ## the same, with PDFs of the pages (needs Chromium)
	for sets in $(SETS); do $(BIN)/cellclaims pdf reports/batch/$$(basename $$sets .yml) || exit; done

pull: $(INSTALLED)  ## download current registry and literature records into data/registry/ (docs/pull.md)
	$(BIN)/cellclaims pull

living: $(INSTALLED)  ## pull, changes, list to screen, check, review, dated page: for a scheduler (docs/living.md; LIVING="--json")
	$(BIN)/cellclaims living --workers $(WORKERS) $(LIVING)

lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: review  ## update the committed notebooks, figures and the table of the README
	@test -z "$(SNAPSHOTS)" || ! git check-ignore -q data/registry/snapshots/x || \
	  { echo "make notebooks: data/registry contains snapshots that are not committed, and the reports name the last: move it away first" >&2; exit 1; }
	$(BIN)/cellclaims notebooks
	$(BIN)/cellclaims answer README.md
	$(BIN)/cellclaims screen --flow docs/search.md

club: $(INSTALLED)  ## open a copy of the journal club in JupyterLab, with live controls (docs/journal_club.md)
	$(BIN)/cellclaims club --only copy $(CLUB)
	$(BIN)/jupyter lab --LabApp.news_url= reports/club/live/journal_club.ipynb

slides: $(INSTALLED)  ## make slides and page of the journal club in reports/club/ (CLUB="--claims my.csv" for other claims)
	$(BIN)/cellclaims club --only slides $(CLUB)

worksheet: $(INSTALLED)  ## make the worksheet of the journal club in reports/club/
	$(BIN)/cellclaims club --only worksheet $(CLUB)

solutions: $(INSTALLED)  ## make the answers to the worksheet in reports/club/
	$(BIN)/cellclaims club --only solutions $(CLUB)

worksheet-pdf: $(INSTALLED)  ## the same, with a PDF (needs Chromium)
	$(BIN)/cellclaims club --only worksheet --pdf $(CLUB)

grid: $(INSTALLED)  ## run the notebooks at every combination of population, product, window, designs and level
	$(BIN)/python benchmarks/grid.py

fuzz: $(INSTALLED)  ## the long simulation behind the defaults (docs/calibration.md), 100,000 mutated registry answers, 2,000 tables with several modes
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/fuzz_answers.py
	FUZZ_INPUTS=100000 $(BIN)/python -m pytest tests/test_harvest_fuzz.py
	MODES_TABLES=2000 $(BIN)/python -m pytest tests/test_meta_modes.py

fuzz-atheris: $(VENV)/installed-fuzz  ## coverage-guided mutation of registry records (atheris)
	$(BIN)/python -m benchmarks.harvest_fuzz -runs=100000

bench: $(INSTALLED)  ## compare the speed of the engine with metafor, PyMARE and statsmodels, if installed
	$(BIN)/python benchmarks/engine.py

r-check: review  ## redo every pool of the reports with metafor and compare (needs R with r-cran-metafor and r-cran-lme4)
	$(BIN)/python benchmarks/r_check.py reports

browser: review $(VENV)/installed-browser  ## test reports and JupyterLab in Chromium (needs Chromium)
	$(TESTS) -m browser tests

cluster: $(VENV)/installed-cluster  ## test batches on a Dask scheduler with two workers
	$(TESTS) -m cluster

parquet: $(VENV)/installed-parquet  ## run the tests of tables in Parquet (installs pyarrow, 170 MB)
	$(BIN)/python -m pytest -k parquet tests/test_harvest_stream.py tests/test_accept.py tests/test_proposals.py

site: review $(VENV)/installed-site  ## build the website: reports/site/index.html (docs/site.md)
	$(BIN)/cellclaims club
	PYTHONPATH=site $(BIN)/python -m sitepages

site-test: site $(VENV)/installed-browser  ## build the website twice, and open every page in Chromium
	$(BIN)/python -m pytest -m site tests/test_site_pages.py

release: $(INSTALLED)  ## check version, dates and tree, then build dist/: data, site, citation; uploads nothing (VERSION=0.2.0)
	PYTHONPATH=site $(BIN)/python -m sitepages.release $(VERSION) --check
	$(MAKE) site
	PYTHONPATH=site $(BIN)/python -m sitepages.release $(VERSION)

zenodo: $(INSTALLED)  ## write .zenodo.json from CITATION.cff
	PYTHONPATH=site $(BIN)/python -m sitepages.release --zenodo

environment: $(INSTALLED)  ## make .venv from requirements.lock

$(LOCKED): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("expected Python 3.11 to 3.13, found %d.%d: make PYTHON=..." % v[:2])'
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(INSTALLED): pyproject.toml $(LOCKED)
	$(PIP) --no-build-isolation --no-deps -e .
	@# once for all processes, because each would compile the package if Python may not write bytecode
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/installed-%: locks/requirements-%.lock $(INSTALLED)
	$(PIP) --require-hashes -r $<
	@touch $@

lock:  ## renew requirements.lock and locks/ from pyproject.toml (needs uv; UPGRADE=--upgrade for newer versions)
	$(COMPILE) pyproject.toml --extra test --group build -o requirements.lock
	for extra in browser cluster fuzz parquet site; do \
	  $(PYTHON) -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' $$extra \
	  | $(COMPILE) - -c requirements.lock -o locks/requirements-$$extra.lock || exit 1; done

clean:  ## delete reports and caches, but not .venv
	rm -rf reports .pytest_cache .ruff_cache .hypothesis notebooks/*.running.ipynb notebooks/.ipynb_checkpoints
