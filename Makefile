# All there is to type: `make demo` and `make test`. Each sets up what it needs first, in this folder only;
# pip keeps what it fetched in its own cache (PIP_NO_CACHE_DIR=1 make demo: it does not).

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full lint format clean
SHELL := /bin/sh

PYTHON ?=
BAG ?=
TASK ?=
WEIGHTS ?=
ARGS ?=
JOBS ?= 2

# A sourced ROS 2 distribution is used as it is; otherwise ROS 2 Jazzy comes from PyPI into .venv.
ifneq ($(filter-out $(CURDIR)/.venv,$(AMENT_PREFIX_PATH)),)
DISTRIBUTION := $(or $(ROS_DISTRO),workspace)
# Distributions bring pytest plugins for an older pytest.
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 .venv/bin/python -m pytest -p timeout -p xdist.plugin
else
DISTRIBUTION :=
PYTEST := .venv/bin/python -m pytest
export AMENT_PREFIX_PATH := $(CURDIR)/.venv
unexport PYTHONPATH
endif
# Set by the Python of another environment with ROS wheels, it would hide the libraries of this one.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
export DISTRIBUTION

PACKAGES := .venv/.installed-$(or $(DISTRIBUTION),wheels)
INTERFACES := build/interfaces/.built-$(or $(DISTRIBUTION),wheels)
# A test uses one core. Neighbours stay together, as they share processes that take seconds to start.
IN_PARALLEL := -n $(JOBS) --dist worksteal
TYPED := $(wildcard centernet_ros training demo standalone)

help:
	@echo "make demo             set up, then frames -> detections over real ROS 2 (BAG=<rosbag2 folder> replays a drive)"
	@echo "                      TASK=detection3d shows 3D boxes and a map from above, TASK=pose people; WEIGHTS=<file> others"
	@echo "make test             set up, then lint, types and tests; JOBS=4 tests at a time instead of 2"
	@echo "make test-full        the same with the slow tests"
	@echo "make setup            only set up (.venv/, build/); PYTHON=/path/to/python3.12 chooses the interpreter"
	@echo "make lint | format    check | mend the form of the code"
	@echo "make clean            remove .venv/ and build/, but not what was trained in build/training/"

setup: $(PACKAGES) $(INTERFACES)

$(PACKAGES): standalone/setup_environment.py standalone/find_python.sh standalone/constraints.txt $(wildcard standalone/requirements*.txt)
	@python=$$(sh standalone/find_python.sh "$(PYTHON)") && \
		"$$python" standalone/setup_environment.py --distribution "$(DISTRIBUTION)" --stamp $@

$(INTERFACES): $(PACKAGES) standalone/build_interfaces.py $(wildcard msg/*.msg standalone/vision_msgs/msg/*.msg)
	@.venv/bin/python standalone/build_interfaces.py && touch $@

demo: setup
	@.venv/bin/python -m demo $(if $(BAG),--bag "$(BAG)") $(if $(TASK),--task "$(TASK)") \
		$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(ARGS)

lint: setup
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m ruff check .
	.venv/bin/python -m mypy $(TYPED)

test: lint
	$(PYTEST) $(IN_PARALLEL) -m "not slow" $(ARGS)

test-full: lint
	$(PYTEST) $(IN_PARALLEL) $(ARGS)

format: setup
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name training -exec rm -rf {} +; fi
