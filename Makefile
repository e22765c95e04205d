# make demo   set everything up and watch three agents learn to cooperate
# make test   set everything up and run all tests
# make quick  the tests that start no process and take no time, for while one works
# make check  lint and types alone
# make lock   renew the pinned versions from what the environment holds

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test quick check lock system clean
.DEFAULT_GOAL := demo

demo: $(READY)
	$(BIN)/foretell run exchange-quick

test: system check
	$(BIN)/python -m pytest

quick: $(READY)
	$(BIN)/python -m pytest -m "not processes and not long"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory system
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# A fresh Debian has Python without its venv module, and no mosquitto; install them where we may, say so where we may not.
# Without mosquitto a run over MQTT takes amqtt, and the tests with mosquitto are skipped (where CI=true they fail).
system:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "foretell needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
		{ echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@{ PATH="$$PATH:/usr/sbin" command -v mosquitto && command -v mosquitto_sub; } >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq mosquitto mosquitto-clients; } || \
		echo "mosquitto is missing: install it (Debian: apt-get install mosquitto mosquitto-clients)" >&2

lock: $(READY)
	$(BIN)/python tools/lock.py > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
