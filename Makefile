# The one list of commands; `make help` prints it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast torture check sbom lock migration db db-stop roads demo-reset demo-remove backup restore bundle bench load clean

# The first suitable Python: PYTHON=... if given, else whatever the machine calls by these names.
SUITABLE = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PY := $(shell for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
        if $$python -c '$(SUITABLE)' >/dev/null 2>&1; then echo $$python; break; fi; done)
ifeq ($(PY),)
PY := @echo "✗ 需要 Python 3.11–3.13：请安装后重试，或用 PYTHON=/路径/python3 make ... 指定 / Python 3.11 to 3.13 is needed: install it, or name it with PYTHON=/path/to/python3 make ..." >&2; exit 1; :
endif
BIN := .venv/bin
WITH_DATABASE = FLEET_DATABASE_URL="$${FLEET_DATABASE_URL:-$$($(PY) scripts/cluster.py start)}" FLEET_SECRET_KEY_FILE=var/secret_key

help: ## 列出命令 / print this list
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## 安装所需的一切 / install everything that is missing
	$(PY) scripts/setup.py

run: ## 运行演示系统 / set up and run everything with demo data, http://127.0.0.1:8000
	$(PY) scripts/run.py

test: ## 全部测试；T=tests/orders 只测一部分 / all tests, or those named by T
	$(PY) scripts/run_tests.py $(if $(T),"$(T)")

test-fast: setup ## 不用数据库的测试 / rules and libraries only, no database
	$(BIN)/pytest -q -n 2 tests/dispatch tests/demo tests/scripts $(wildcard tests/kit tests/architecture tests/*/test_rules.py)

torture: setup ## 网关耐久试验（约 45 分钟） / kill, starve and fill what the GPS gateway stands on; some 45 minutes
	FLEET_TEST_DATABASE_URL="$$($(PY) scripts/cluster.py start --test)" TORTURE=long $(BIN)/pytest -q -s -p no:randomly --timeout 2400 tests/telematics/test_torture.py tests/telematics/test_torture_input.py tests/telematics/test_scale_out.py

check: setup ## 静态检查 / lint, format, types, contracts, templates, scripts, catalogues
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint fleetapp --lint --quiet
	$(PY) scripts/biome.py
	@if command -v shellcheck >/dev/null; then echo shellcheck .ci/run deploy/install.sh; shellcheck .ci/run deploy/install.sh; else echo "shellcheck: not installed, left out"; fi
	$(BIN)/python -m fleetapp.web.texts

sbom: ## 软件物料清单（CycloneDX） / software bill of materials from the lock files, on standard output
	@$(PY) scripts/sbom.py

lock: ## 重新锁定依赖（需要 uv） / recompile the hashed requirements and the npm lock file (needs uv)
	@command -v uv >/dev/null || { echo "✗ 需要 uv：pipx install uv / uv is needed: pipx install uv" >&2; exit 1; }
	for name in main dev node peers load; do uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	npm install --package-lock-only --ignore-scripts

migration: setup ## 生成数据库迁移 m="add order deadline" / write a migration from the models
	@test -n "$(m)" || { echo '✗ 请写明内容 / say what it does: make migration m="add order deadline"' >&2; exit 1; }
	$(WITH_DATABASE) sh -c '$(BIN)/alembic -c migrations/alembic.ini upgrade head && $(BIN)/alembic -c migrations/alembic.ini revision --autogenerate -m "$$0"' "$(m)"

db: setup ## 启动私有数据库并显示地址 / start the private database and print its address
	@$(PY) scripts/cluster.py start

db-stop: ## 停止私有数据库 / stop the private databases
	@$(PY) scripts/cluster.py stop
	@$(PY) scripts/cluster.py stop --test

roads: setup ## 建立路网供路线匹配 PBF=hangzhou.osm.pbf / build the road network of an OpenStreetMap extract
	$(PY) scripts/roads.py "$(PBF)"

demo-reset: ## 重新生成演示数据 / empty the demo city and fill it anew
	$(PY) scripts/run.py reset

demo-remove: setup ## 清除演示数据，得到空系统 / turn the demo city into an empty system; asks first
	$(WITH_DATABASE) $(BIN)/flask --app wsgi demo remove

backup: setup ## 备份数据库、归档文件与密钥清单 TO=var/backups / back up database, archive files and the list of keys
	$(WITH_DATABASE) $(BIN)/python -m fleetapp.operations backup --to "$(or $(TO),$(FLEET_BACKUP_DIR),var/backups)"

restore: setup ## 恢复到空库 FROM=备份目录 / restore a backup into the absent or empty database of FLEET_DATABASE_URL
	@test -n "$(FROM)" || { echo '✗ 请指定备份 / name the backup: make restore FROM=var/backups/20261118T010203Z FLEET_DATABASE_URL=...' >&2; exit 1; }
	$(WITH_DATABASE) $(BIN)/python -m fleetapp.operations restore --from "$(FROM)"

bundle: ## 离线安装包 TO=var/bundle DEBS=yes / everything for a machine without a network, with checksums
	TO="$(TO)" DEBS="$(DEBS)" $(PY) scripts/bundle.py

bench: setup ## 性能测量，每项输出 JSON / benchmarks, each prints JSON
	@url="$$($(PY) scripts/cluster.py start)" || exit 1; \
	for file in $(filter-out benchmarks/_% benchmarks/dispatch_peers.py benchmarks/load.py benchmarks/years.py,$(wildcard benchmarks/*.py)); do \
	  echo "== $$file" >&2; FLEET_TEST_DATABASE_URL="$$url" $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)" || exit 1; done

load: setup var/loadvenv/bin/locust ## 全系统压力试验（30 分钟） / 300 people and 3,000 terminals on the whole system for 30 minutes, JSON
	@url="$$($(PY) scripts/cluster.py start)" && FLEET_TEST_DATABASE_URL="$$url" $(BIN)/python -m benchmarks.load $(LOAD)

var/loadvenv/bin/locust: requirements/load.txt
	$(PY) -m venv var/loadvenv
	var/loadvenv/bin/pip install -q --require-hashes -r requirements/load.txt
	@touch $@

clean: ## 删除可再生的文件，保留数据 / remove what can be made again; data in var/pg stay
	-$(PY) scripts/cluster.py stop --test
	rm -rf .venv node_modules fleetapp/web/static/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage var/pg-test/data
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
