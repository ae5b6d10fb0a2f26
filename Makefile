# Every target sets up .venv first, once; `make help` lists them.
BIN := .venv/bin
READY := .venv/.ready
FAST := -m pytest -n 2 --dist worksteal -m 'not slow' -p no:nbmake
# one thread for each process of tests; what Python compiles is kept, as each of them needs it
ALONE := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: help demo test check format slow oldest latest parity bench notebooks docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort

$(READY): requirements/all.txt requirements/bootstrap.sh pyproject.toml
	@sh requirements/bootstrap.sh

demo: $(READY)  ## the main job on sample data, in demo-output
	@$(BIN)/gersp-geo demo demo-output --overwrite

check: $(READY)  ## lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: check  ## everything that decides whether a change lands
	@$(ALONE) $(BIN)/python $(FAST)

# what only clusters, object stores (with a server of objects on loopback) and catalogues need
MORE := .venv/.slow
$(MORE): requirements/slow.txt $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/slow.txt
	@touch $@

slow: $(MORE)  ## the laws of `test` on larger input, and each with many examples
	@$(BIN)/python -m pytest -m 'slow or hypothesis' --hypothesis-profile=full

oldest: VERSIONS := lowest-direct  ## fast tests with the lowest versions that are allowed
latest: VERSIONS := highest  ## fast tests with the newest versions that are allowed
oldest latest:
	@sh requirements/bootstrap.sh .venv-$@ $(VERSIONS)
	@$(ALONE) .venv-$@/bin/python $(FAST)

parity: requirements/torchgeo_bench.txt  ## compare protocols with torchgeo-bench itself
	@test -f .venv-$@/.ready || sh requirements/bootstrap.sh .venv-$@
	@.venv-$@/bin/uv pip install --quiet --python .venv-$@/bin/python --no-deps -r $<
	@OMP_NUM_THREADS=1 .venv-$@/bin/python tests/comparison/golden/make.py
	@OMP_NUM_THREADS=1 .venv-$@/bin/python -m pytest tests/comparison/test_torchgeo_bench.py

format: $(READY)  ## rewrite the code in house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# large tensors keep their memory between steps, as with any allocator made for training
bench: $(READY)  ## measure, and print what docs/benchmarks.md reports
	@MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=16000000000 $(BIN)/python benchmarks/step.py
	@$(BIN)/python benchmarks/loading.py

notebooks: $(READY)  ## execute every notebook offline
	@$(BIN)/python -m pytest --nbmake --nbmake-timeout=600 --allow-hosts=127.0.0.1 notebooks

# what only the site needs, which is made without a network
SITE := .venv/.docs
$(SITE): requirements/docs.txt $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/docs.txt
	@touch $@

docs: $(SITE)  ## the site, in docs/_build/html; about a minute
	@OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

clean:  ## remove the environments, the site and what the demo made
	@rm -rf .venv .venv-oldest .venv-latest .venv-parity demo-output docs/_build docs/_generated
