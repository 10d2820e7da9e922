# make quickstart    environment, install, the main job
# make test          environment, install with what tests need (2 GB more), tests
# make test-all      the same with the slow cases
# Needs Python 3.10+, git, make and a C++ compiler. Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
VENV ?= .venv

# alfworld builds fast-downward-textworld, whose CMakeLists.txt is older than what CMake 4 accepts unasked.
export CMAKE_POLICY_VERSION_MINIMUM ?= 3.5

.PHONY: quickstart test test-all clean

quickstart: $(VENV)/installed
	$(VENV)/bin/oreo quickstart

test: $(VENV)/test-installed
	$(VENV)/bin/python -m pytest -n 2

test-all: $(VENV)/test-installed
	$(VENV)/bin/python -m pytest -n 2 --slow

# Editable, so that `git pull` is enough; installed again when pyproject.toml changes.
INSTALL = $(VENV)/bin/python -m pip install --disable-pip-version-check

$(VENV)/installed: pyproject.toml | $(VENV)/made
	$(INSTALL) -e .
	touch $@

$(VENV)/test-installed: pyproject.toml | $(VENV)/made
	$(INSTALL) -e '.[test]'
	touch $(VENV)/installed $@

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)
	touch $@

clean:
	rm -rf $(VENV) build
