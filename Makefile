# The two ways in are `make demo` and `make test`; every target first sees to .venv by itself.
# A shell other than /bin/sh also makes every make version look programs up in the PATH below.
SHELL := /bin/bash
.NOTPARALLEL:
.DEFAULT_GOAL := help

export LC_ALL := C.UTF-8
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
# Nothing is shared with other checkouts or left in the home directory.
export ANSIBLE_HOME := $(CURDIR)/.ansible
ifeq ($(HOME),)
export HOME := $(CURDIR)/.ansible
endif

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

.PHONY: demo
demo: setup ## Deploy a release into the sandbox: dry run, deployment, second run, summary
	@scripts/demo.sh

.PHONY: test
test: lint unit integration molecule ## Run every check and test
	@echo "All checks and tests have passed."

.PHONY: setup
setup: ## Make .venv with all that is needed (the other targets do it by themselves)
	@scripts/setup.sh

.PHONY: lint
lint: setup ## Check style, types and Ansible practice
	ruff check
	yamllint --strict .
	mypy -p ansible_collections.ousamg.anno.plugins
	ansible-lint --offline --profile production

.PHONY: setup-tests
setup-tests: # Also the programs that some tests need
	@scripts/setup.sh tests

.PHONY: unit
unit: setup-tests ## Run the unit tests
	pytest tests/unit -n 2

.PHONY: integration
integration: setup-tests ## Run the tests with whole deployments
	pytest tests/integration -n 2

.PHONY: molecule
molecule: setup-tests ## Run all Molecule scenarios
	@scripts/molecule.sh

.PHONY: bench
bench: setup ## Measure; the figures are ratios within one run
	@tests/benchmark/run.sh

.PHONY: torture
torture: setup-tests ## Interrupt the data engine at every system call (half an hour; power cuts need root)
	@PYTHONPATH=collections:tests python -m torture .ansible/torture

.PHONY: sandbox
sandbox: setup ## Make the sandbox anew and start its services
	@PYTHONPATH=tests python -m sandbox make
	@PYTHONPATH=tests python -m sandbox start
	@PYTHONPATH=tests python -m sandbox status

.PHONY: sandbox-stop
sandbox-stop: setup ## Stop the sandbox's services
	@PYTHONPATH=tests python -m sandbox stop

.PHONY: clean
clean: ## Remove the sandbox, .venv and everything else that was generated
	@[[ ! -x .venv/bin/python ]] || PYTHONPATH=tests python -m sandbox remove
	rm -rf .ansible .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .venv tests/output *.tar.gz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
