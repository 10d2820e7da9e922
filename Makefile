# make quickstart    environment, install, the main job
# make test          environment, install, tests
# Needs Python 3.10+, git, make and a C++ compiler. Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
VENV ?= .venv

# alfworld builds fast-downward-textworld, whose CMakeLists.txt is older than what CMake 4 accepts unasked.
export CMAKE_POLICY_VERSION_MINIMUM ?= 3.5

.PHONY: quickstart test clean

quickstart: $(VENV)/installed
	$(VENV)/bin/oreo quickstart

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 2

# Editable, so that `git pull` is enough; installed again when pyproject.toml changes.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build
