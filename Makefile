# The project's own commands. Nothing but Python 3.11+ and make is needed beforehand; a second run installs nothing.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
TOOLS := build/tools
OLDEST := build/oldest

.PHONY: tutorial book student teacher test lint lab app figures bench results models browser weights extras pip-audit licences oldest clean

tutorial: $(INSTALLED)  ## write synthetic speech, execute every notebook, leave the book
	SERLIB_PROFILE=$${SERLIB_PROFILE:-tiny} $(BIN)/python notebooks/build.py

book: $(INSTALLED)  ## the book again, executing only what has changed (SERLIB_PROFILE=full: from your corpora)
	SERLIB_PROFILE=$${SERLIB_PROFILE:-tiny} $(BIN)/python notebooks/build.py --changed

student: $(INSTALLED)  ## the notebooks to hand out, without solutions, in build/student
	$(BIN)/python notebooks/editions.py student

teacher: $(INSTALLED)  ## the notebooks with solutions, in build/teacher
	$(BIN)/python notebooks/editions.py teacher

test: $(INSTALLED) lint  ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)  ## style, spelling, notebooks without outputs
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb serlib/app/app.ipynb

lab: $(INSTALLED)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

app: $(INSTALLED)  ## a page to talk to, and to explore the corpora on: no code to be seen, for this machine alone
	JUPYTER_PATH=serlib/app JUPYTER_CONFIG_PATH=serlib/app $(BIN)/voila serlib/app/app.ipynb --token

figures: $(INSTALLED)  ## draw every figure of the README (SERLIB_PROFILE=full: from your EMODB)
	$(BIN)/python -m serlib figures

results: $(INSTALLED)  ## make results again: CORPUS="emodb ravdess" [RECIPES=paper] [PROTOCOLS="speakers across"] [NORMALISE=speaker]
	SERLIB_PROFILE=full $(BIN)/python results/make.py $(CORPUS) $(if $(RECIPES),--recipes $(RECIPES)) $(if $(PROTOCOLS),--protocols $(PROTOCOLS)) $(if $(NORMALISE),--normalise $(NORMALISE))

models: $(INSTALLED)  ## make a bundle of each corpus under SERLIB_DATA; that of EMODB is the one that comes with serlib
	SERLIB_PROFILE=full $(BIN)/python results/models.py

browser:  ## install Chromium for the tests that need a browser, where that is allowed; else say what to install
	@if command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else echo "No browser is found; install Chromium (on Debian: apt-get install chromium), else its tests skip."; fi

weights: $(INSTALLED)  ## fetch the weights of the speech encoder (145 MB), for the recipes and tests that need them
	$(BIN)/python -m serlib download whisper-base

extras: $(INSTALLED)  ## install openSMILE (research and personal use only) and CTranslate2, which some tests compare with
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r constraints-extras.txt

bench: $(INSTALLED)  ## time the original's procedure beside ours, on the corpora under SERLIB_DATA
	$(BIN)/python benchmarks/bench.py

pip-audit: $(TOOLS)/installed  ## ask the public databases for known vulnerabilities of what constraints.txt pins
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip -r constraints.txt

licences: $(TOOLS)/installed $(INSTALLED)  ## list the licences of all that is installed
	printf '%s\n\n' '# Licences of what serlib is installed with' \
	    'Made by `make licences`. The wheel of av holds FFmpeg, under the LGPL 3.' > THIRD_PARTY.md
	$(TOOLS)/bin/pip-licenses --python=$(BIN)/python --from=mixed --with-system --ignore-packages serlib pip \
	    --format=markdown >> THIRD_PARTY.md

$(TOOLS)/installed:  # what looks at the environment is kept out of it
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet pip-audit pip-licenses
	touch $(TOOLS)/installed

oldest: $(OLDEST)/installed  ## the tests, with the oldest versions of the libraries that pyproject.toml allows
	$(OLDEST)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -W default  # what old ones warn of is mended in newer ones

$(OLDEST)/installed: pyproject.toml $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(OLDEST)
	$(BIN)/uv pip compile --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --extra dev \
	    -o $(OLDEST)/versions.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python -r $(OLDEST)/versions.txt
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --no-deps --no-build-isolation -e .
	$(OLDEST)/bin/python -c 'import librosa; librosa.yin'
	touch $(OLDEST)/installed

WRONG_PYTHON := serlib needs Python 3.11 to 3.13; name one, as in: make PYTHON=python3.12

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "$(WRONG_PYTHON)"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv  # also where it was interrupted
	sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r constraints.txt || \
	    $(BIN)/python -m pip install --quiet --require-hashes -r constraints.txt  # where only pip knows an index
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -c 'import librosa; librosa.yin'  # compiled here, once: two at the same time spoil it (numba#10128)
	touch $(INSTALLED)

clean:  ## remove what was made, but for the environment
	rm -rf build
