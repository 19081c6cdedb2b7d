# make run     set up, then the quick scale from population to report, in well under 20 minutes on 2 cores
# make test    set up, then the tests
# make poster  the full scale: 130,000 training images, 20,000 compound lenses are drawn and measured, with the networks that are in
#              git. It says first what it will run and how long that took last time (docs/pipeline.md)
# make observe CUTOUTS=/your/folder [SCALE=poster]   score real FITS cutouts with the trained model; after `make run` or `make poster`
#              show them in the report, too
# make ui      MLflow on 127.0.0.1:5000

PYTHON ?= python3
VENV ?= .venv
SCALE ?= quick
CUTOUTS ?=
BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
PIPELINE = $(if $(filter quick,$(SCALE)),dvc.yaml,scales/$(SCALE)/dvc.yaml)

export PATH := $(BIN):$(PATH)
export LENSDREAM_CUTOUTS := $(CUTOUTS)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PYTHONWARNINGS := ignore

.PHONY: run test poster observe folders ui
poster: SCALE := poster

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("lensdream needs Python 3.11 or newer, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

# A fresh clone has neither images nor figures nor a report, so DVC runs every stage there; after that only what changed.
run poster: $(READY)
	dvc pull --quiet
	lensdream run --scale $(SCALE)
	lensdream register
	@echo "report: $(abspath reports/$(SCALE)/index.html)"

# Nothing but these two stages. Of what they read only the images are not in git: without them the scores are the same, and
# there is neither a comparison with simulated lenses nor a report. An empty folder stands in for them, as DVC wants one.
observe: folders $(READY)
	test -d data/cutouts || dvc pull --quiet data.dvc
	mkdir -p artifacts/$(SCALE)/images
	dvc repro --force --single-item $(PIPELINE):observe
	test ! -f artifacts/$(SCALE)/images/manifest.json || dvc repro --single-item $(PIPELINE):report
	@echo "page: $(abspath artifacts/$(SCALE)/observed/page.html)"

folders:
	@IFS=:; for folder in $$LENSDREAM_CUTOUTS; do \
		test -d "$$folder" || { echo "CUTOUTS: $$folder is no folder, name one with FITS cutouts" >&2; exit 2; }; done

ui: $(READY)
	lensdream ui --port 5000

test: $(READY)
	dvc pull --quiet data.dvc
	ruff check src tests benchmarks
	pytest -q
