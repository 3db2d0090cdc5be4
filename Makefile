STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/weir
	go build -o bin/weir .

.PHONY: dev
dev: build ## Run the whole business in one process, http://127.0.0.1:8080
	bin/weir dev $(ARGS)

.PHONY: test
test: ## Run every test (about five minutes on two cores)
	go test -tags synctests ./...

.PHONY: check
check: ## What to run before a commit: format, vet, lint, tests with -race
	@test -z "$$(gofmt -l .)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags weirbugs ./...
	go run $(STATICCHECK) ./...
	go test -race -short -tags synctests ./...

.PHONY: bench
bench: ## Measure: decisions/s, latency, telemetry's cost, beside the machine's own limits
	go test ./bench -run '^$$' -bench . -benchmem -count 5 -timeout 30m

.PHONY: golden
golden: ## Write again what the README shows of the code
	go test ./deploy/cli -run TestGolden -update
