# Everything that is printed is rebuilt from data/ and code. `make` alone says what can be made.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
UV     ?= uv
VENV   ?= .venv
BIN    := $(VENV)/bin

# Snapshots of the registries are not committed, and reports name the last one.
SNAPSHOTS := $(wildcard data/registry/snapshots/*.json)

# The stamps lie inside the environment that they speak of: whoever deletes it deletes them, too.
LOCKED    := $(VENV)/installed-from-the-lock
INSTALLED := $(VENV)/installed-the-package
PIP       := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# What `make batch` makes: files of parameter sets; and how many reports, or files of tests, at the same time.
SETS    ?= $(wildcard runs/*.yml)
WORKERS ?= 2

# The tests of a file stay in one process; some files at the same time.
TESTS := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# One line a package, every file by its hash, no address of an index: it installs from whichever index pip uses.
COMPILE   := $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
             --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(UPGRADE)

.PHONY: batch batch-pdf bench fuzz help review test check lab notebooks browser cluster lock clean environment grid parquet pull r-check fuzz-atheris living release site site-test zenodo club slides worksheet worksheet-pdf

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1	/p' $(firstword $(MAKEFILE_LIST)) | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

review: $(INSTALLED)  ## run all notebooks that are out of date, by content: reports/, reports/index.html
	$(BIN)/cellclaims review

test: $(INSTALLED)  ## run all tests
	$(TESTS)

check: $(INSTALLED)  ## check the evidence tables and the style of the code
	$(BIN)/cellclaims check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

batch: $(INSTALLED)  ## reports of parameter sets, with an index, into reports/batch/ (SETS="runs/by_product.yml ...")
	for sets in $(SETS); do $(BIN)/cellclaims batch $$sets --workers $(WORKERS) || exit; done

batch-pdf: batch  ## the pages of make batch as PDF, too (needs Chromium)
	for sets in $(SETS); do $(BIN)/cellclaims pdf reports/batch/$$(basename $$sets .yml) || exit; done

pull: $(INSTALLED)  ## fetch what registries and literature hold today, into data/registry/ (docs/pull.md)
	$(BIN)/cellclaims pull

living: $(INSTALLED)  ## pull, changes, list to screen, check, review, dated page: for a scheduler (docs/living.md; LIVING="--json")
	$(BIN)/cellclaims living --workers $(WORKERS) $(LIVING)

lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: review  ## take over executed notebooks and the answer of the README (what is committed)
	@test -z "$(SNAPSHOTS)" || ! git check-ignore -q data/registry/snapshots/x || \
	  { echo "make notebooks: data/registry holds snapshots that are not committed, and the reports show the last: move it away first" >&2; exit 1; }
	$(BIN)/cellclaims notebooks
	$(BIN)/cellclaims answer README.md

club: $(INSTALLED)  ## open a copy of the journal club in JupyterLab, its controls live (docs/journal_club.md)
	$(BIN)/cellclaims club --only copy $(CLUB)
	$(BIN)/jupyter lab --LabApp.news_url= reports/club/live/journal_club.ipynb

slides: $(INSTALLED)  ## the journal club as slides and as a page, into reports/club/ (CLUB="--claims my.csv" for another page)
	$(BIN)/cellclaims club --only slides $(CLUB)

worksheet: $(INSTALLED)  ## the journal club's worksheet, one page to print, into reports/club/
	$(BIN)/cellclaims club --only worksheet $(CLUB)

worksheet-pdf: $(INSTALLED)  ## the worksheet as PDF, too (needs Chromium)
	$(BIN)/cellclaims club --only worksheet --pdf $(CLUB)

grid: $(INSTALLED)  ## run the notebooks at every combination of population, product, window, designs and level
	$(BIN)/python benchmarks/grid.py

fuzz: $(INSTALLED)  ## the long simulation behind the defaults (docs/calibration.md), 100,000 mutated registry answers, 2,000 tables with several modes
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/fuzz_answers.py
	FUZZ_INPUTS=100000 $(BIN)/python -m pytest tests/test_harvest_fuzz.py
	MODES_TABLES=2000 $(BIN)/python -m pytest tests/test_meta_modes.py

fuzz-atheris: $(VENV)/installed-fuzz  ## mutate registry records led by coverage (atheris)
	$(BIN)/python -m benchmarks.harvest_fuzz -runs=100000

bench: $(INSTALLED)  ## time the engine beside metafor, PyMARE and statsmodels, where they are installed
	$(BIN)/python benchmarks/engine.py

r-check: review  ## redo every pool of the reports with metafor and compare (needs R with r-cran-metafor and r-cran-lme4)
	$(BIN)/python benchmarks/r_check.py reports

browser: review $(VENV)/installed-browser  ## open reports and JupyterLab in Chromium: no request, no fault (needs Chromium)
	$(TESTS) -m browser tests

cluster: $(VENV)/installed-cluster  ## fit batches on a Dask scheduler with two workers, one of them killed
	$(TESTS) -m cluster

parquet: $(VENV)/installed-parquet  ## run the tests of tables in Parquet (installs pyarrow, 170 MB)
	$(BIN)/python -m pytest -k parquet tests/test_harvest_stream.py tests/test_accept.py tests/test_proposals.py

site: review $(VENV)/installed-site  ## the review as linked pages: reports/site/index.html (docs/site.md)
	PYTHONPATH=site $(BIN)/python -m sitepages

site-test: site $(VENV)/installed-browser  ## make the site twice, and open every page in Chromium
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
	@# once for all processes: where Python may write no bytecode each of them would compile the package anew
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

clean:  ## delete what can be made again (reports, caches); .venv stays
	rm -rf reports .pytest_cache .ruff_cache .hypothesis notebooks/*.running.ipynb notebooks/.ipynb_checkpoints
