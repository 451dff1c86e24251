# Two commands do everything: `make up` and `make test`.
SWIFT ?= swift
PYTHON ?= python3
XPYD := .build/release/xpyd
TOPOLOGY ?= 2p1d
PYTHON_PACKAGES := .build/python
NIXL_RELEASE := 1.5.1

.PHONY: up test build model lint swift-test conformance

up: build model
	@exec $(XPYD) up $(TOPOLOGY) $(ARGS)

test: swift-test conformance

build:
	$(SWIFT) build -c release --product xpyd

# The reference model, fetched once into the user's cache folder and verified.
model: build
	$(XPYD) model pull

# Numeric code is 50 times slower without optimisation, so the tests run what ships. A few at once keep two cores busy;
# hundreds at once only make each other late. A test that hangs is an error after ten minutes.
swift-test: model $(PYTHON_PACKAGES)/.nixl
	$(SWIFT) build -c release --build-tests
	PYTHONPATH=$(CURDIR)/$(PYTHON_PACKAGES) SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8 \
	  timeout -k 10 600 $(SWIFT) test -c release --skip-build

# The built binary, as processes, seen through the official OpenAI client.
conformance: model $(PYTHON_PACKAGES)/.installed
	PYTHONPATH=$(PYTHON_PACKAGES) $(PYTHON) -m pytest -q Tests/Conformance

$(PYTHON_PACKAGES)/.installed: Tests/Conformance/requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(PYTHON_PACKAGES) --upgrade -r $<
	touch $@

# 69 MB, of which the transfer plane's tests open one library; its dependencies (torch) are not needed. Where there is no
# wheel for this machine, the tests over NIXL are skipped.
$(PYTHON_PACKAGES)/.nixl:
	mkdir -p $(PYTHON_PACKAGES)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --target $(PYTHON_PACKAGES) --upgrade \
	  nixl-cu12==$(NIXL_RELEASE) && touch $@ || echo "No NIXL $(NIXL_RELEASE) to be had: the tests over it are skipped."

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests
