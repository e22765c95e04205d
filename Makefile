# make demo   set everything up and watch three agents learn to cooperate
# make test   set everything up and run all tests
# make quick  the tests that start no process and take no time, for while one works
# make check  lint and types alone
# make docs   the documentation as a site, in build/docs
# make wheels a wheel for x86-64 and one for aarch64, in dist/
# make release wheels and source, checked as strangers install them; uploads nothing
# make lock   renew the pinned versions from what the environment holds

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPLETE := $(VENV)/.complete

.PHONY: demo test quick check docs wheels release lock system test-system kernels cross clean
.DEFAULT_GOAL := demo

demo: kernels
	$(BIN)/foretell run exchange-quick
	@echo "next: docs/first-run.md; PATH=$(CURDIR)/$(BIN):\$$PATH lets the shell find foretell"

test: test-system $(COMPLETE) kernels check
	$(BIN)/python -m pytest

quick: $(COMPLETE) kernels
	$(BIN)/python -m pytest -m "not processes and not long"

check: $(COMPLETE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(COMPLETE)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

$(READY): requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory system
	@echo "setting up $(VENV), once: downloads some 40 packages, a minute or two"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@echo "compiling the kernels, installing Foretell into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(COMPLETE): $(READY) requirements-test.lock
	@echo "adding what the tests take to $(VENV), once: torch among it, several minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.lock
	@touch $@

# What is installed with the system's own tools: where we may, which is as root on Debian; else said. This is all that a run
# needs, and what follows it is what only tests need. A fresh Debian has Python without its venv module.
# Without a compiler the reference of the kernels serves, slowly (where CI=true nothing does).
system:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "foretell needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
		{ echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@printf '#include <string.h>\n' | $${CC:-cc} -E - >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq gcc libc6-dev; } || \
		echo "a C compiler is missing: install one (Debian: apt-get install gcc libc6-dev)" >&2

# Without mosquitto a run over MQTT takes amqtt, and the tests with mosquitto are skipped (where CI=true they fail).
test-system: system
	@{ PATH="$$PATH:/usr/sbin" command -v mosquitto && command -v mosquitto_sub; } >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq mosquitto mosquitto-clients; } || \
		echo "mosquitto is missing: install it (Debian: apt-get install mosquitto mosquitto-clients)" >&2
	@PATH="$$PATH:/usr/sbin" command -v nats-server >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq nats-server; } || \
		echo "nats-server is missing: a test with a cluster of brokers is skipped (Debian: apt-get install nats-server)" >&2
	@{ PATH="$$PATH:/usr/sbin:/sbin" command -v ip && command -v ssh && command -v ssh-keygen; } >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq iproute2 openssh-client; } || \
		echo "ip or ssh is missing: tests over several hosts are skipped (Debian: apt-get install iproute2 openssh-client)" >&2
	@command -v chromium >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq chromium >/dev/null; } || \
		echo "chromium is missing: tests of the page are skipped (Debian: apt-get install chromium)" >&2

# Compiles what is not compiled yet. Where nothing can be compiled the reference serves, but not where CI=true.
kernels: $(READY)
	@$(BIN)/python -m broker.arithmetic.building >/dev/null || [ "$$CI" != true ]

wheels: $(COMPLETE) cross
	for machine in x86_64 aarch64; do FORETELL_MACHINE=$$machine $(BIN)/python -m build --wheel || exit 1; done

release: wheels
	$(BIN)/python -m build --sdist
	$(BIN)/python tools/release.py

# What compiles for the machine of the two that this one is not.
cross:
	@for machine in x86_64 aarch64; do \
		[ "$$(uname -m)" = $$machine ] || command -v $$machine-linux-gnu-gcc >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
			apt-get install -y -qq gcc-$$(echo $$machine | tr _ -)-linux-gnu; } || \
		{ echo "$$machine-linux-gnu-gcc is missing (Debian: apt-get install gcc-$$(echo $$machine | tr _ -)-linux-gnu)" >&2; exit 1; }; \
	done

lock: $(COMPLETE)
	for lock in node lab test; do $(BIN)/python tools/lock.py $$lock > $(VENV)/$$lock.lock || exit 1; done
	mv $(VENV)/node.lock requirements-node.lock
	mv $(VENV)/lab.lock requirements.lock
	mv $(VENV)/test.lock requirements-test.lock

clean:
	rm -rf $(VENV) build dist broker/arithmetic/built *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
