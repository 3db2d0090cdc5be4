# The Kafka client's locks hold virtual time up without it.
TAGS = -tags synctests
# A package has so long on a machine that is busy with other things; alone on two
# cores the longest needs a quarter of it.
TIME = -timeout 20m
# Slow by design: they live through bad days for a given time, practise every fault,
# kill processes. They begin first, so that they do not end last.
SLOW = ./streams/streamtest ./deploy/platform ./deploy/simulate ./bench/kill
SHELL = bash -o pipefail
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/weir
	go build $(TAGS) -o bin/weir .

.PHONY: dev
dev: build ## Run the whole business in one process, http://127.0.0.1:8080
	bin/weir dev $(ARGS)

.PHONY: up status down
up: build ## Start real servers on this machine, without Docker, and write weir.yaml for them (NAMES="kafka postgres", SKIP="consul jaeger")
	deploy/local/servers/servers up $(NAMES)
	@if [ ! -e weir.yaml ] || grep -q '^# For weir on the servers of deploy/local/servers' weir.yaml; then \
		(umask 077; deploy/local/servers/servers config $(NAMES) > weir.yaml) && chmod 600 weir.yaml; fi # passwords are in it
	@eval "$$(deploy/local/servers/servers env)"; [ -z "$$WEIR_REAL_OPENSEARCH" ] || \
		bin/weir logs template | curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/json' --data-binary @- "$$WEIR_REAL_OPENSEARCH/_index_template/logs-weir"
	@echo 'now: bin/weir run all'

status: ## Show which of them run, and where
	deploy/local/servers/servers status $(NAMES)

down: ## Stop them; their data stays in .local
	deploy/local/servers/servers down $(NAMES)

.PHONY: test
test: ## Run every test, bad days with new seeds included (about five minutes on two cores)
	go test -count=1 $(TIME) $(TAGS) $(SLOW) ./... 2>&1 | .ci/readable

.PHONY: test-real
test-real: ## Run what needs real servers, on a set of its own (SKIP="consul jaeger" leaves some out)
	deploy/local/servers/test-real

SEEDS ?= 2000
.PHONY: simulate
simulate: ## Live through SEEDS bad days of a small business, and a tenth as many of the whole one (also FROM=seed, COLLECT=1)
	go test -c $(TAGS) -o bin/ ./streams/streamtest ./deploy/simulate
	cd streams/streamtest && WEIR_SEEDS=$(SEEDS) WEIR_FROM=$(FROM) WEIR_COLLECT=$(COLLECT) ../../bin/streamtest.test -test.run TestBadDaysAtTheBank
	cd deploy/simulate && WEIR_SEEDS=$$(($(SEEDS) / 10)) WEIR_FROM=$(FROM) WEIR_COLLECT=$(COLLECT) ../../bin/simulate.test -test.run TestBadDays

.PHONY: check
check: ## What to run before a commit: format, vet, lint, tests with -race
	@test -z "$$(gofmt -l .)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags 'real synctests' ./...
	go run $(STATICCHECK) -tags real ./...
	go test -race -short $(TIME) $(TAGS) $(SLOW) ./... 2>&1 | .ci/readable

.PHONY: bench
bench: ## Measure: decisions/s, latency, telemetry's cost, beside the machine's own limits
	@# Five rounds, so that what is compared runs side by side in each.
	go test -c $(TAGS) -o bin/bench.test ./bench
	cd bench && for round in 1 2 3 4 5; do \
		../bin/bench.test -test.run '^$$' -test.bench 'Append|Lanes' -test.benchmem || exit 1; \
		../bin/bench.test -test.run '^$$' -test.bench 'Place|Fsync' -test.benchtime 2000x || exit 1; \
		../bin/bench.test -test.run '^$$' -test.bench 'Warm' -test.benchtime 5x || exit 1; \
	done

.PHONY: bench-real
bench-real: ## Measure lanes on PostgreSQL and a pipeline on Kafka beside bare programs (make up NAMES="kafka postgres" first)
	eval "$$(deploy/local/servers/servers env)"; go test -tags 'real synctests' -run '^$$' -bench 'PostgresLanes|PassThrough' -benchtime 400000x ./bench

EVENTS ?= 3000000
.PHONY: bench-analytics
bench-analytics: ## Measure analytics with EVENTS events beside bare clickhouse-go (make up NAMES="kafka clickhouse" first; it makes the shop's topics anew)
	eval "$$(deploy/local/servers/servers env)"; WEIR_EVENTS=$(EVENTS) go test -tags 'real synctests' -run '^$$' -bench 'Analytics$$' -benchtime 1x -timeout 60m ./bench && \
		go test -tags 'real synctests' -run '^$$' -bench 'AnalyticsSink' -benchtime 8x -timeout 60m ./bench

.PHONY: golden
golden: ## Write again what is rendered from the code: parts of the README, topics, rules, the table of alerts, boards, the interface, names of facts
	go test $(TAGS) ./deploy/cli ./alerts ./dashboards ./services/gateway ./services/shop -run 'TestGolden|TestWhenAlertsFire|TestHistoryStaysReadable' -update
