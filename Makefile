# The project's commands. "make" alone lists them.

GO ?= go

# How many packages are tested at a time: one per processor, at most four, because each may start a Postgres of its own.
TEST_PARALLEL ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -gt 4 ] && n=4; echo $$n)
TEST_TIMEOUT ?= 15m
TEST_FLAGS ?=
PACKAGES ?= ./...
BENCH ?= .
FUZZ_TIME ?= 10s

# The tools have a module of their own, so that they are no dependency of the library.
TOOL = $(GO) tool -modfile=tools/go.mod

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## install what the tests need and run all of them with the race detector
	@scripts/deps.sh compiler postgres redis chromium
	$(GO) test -race -p $(TEST_PARALLEL) -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) $(PACKAGES)

.PHONY: demo
demo: ## start the dashboard example on a private Postgres
	@scripts/deps.sh postgres
	$(GO) run ./examples/dashboard

.PHONY: bench
bench: ## run the benchmarks
	@scripts/deps.sh postgres
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m $(PACKAGES)

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZ_TIME
	@GO='$(GO)' scripts/fuzz.sh $(FUZZ_TIME)

.PHONY: lint
lint: ## check the code with go vet and golangci-lint
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(TOOL) golangci-lint run

.PHONY: fmt
fmt: ## format the code
	$(TOOL) golangci-lint fmt

.PHONY: vuln
vuln: ## look for known vulnerabilities in what the code calls
	@scripts/vuln.sh $(TOOL) govulncheck ./...
