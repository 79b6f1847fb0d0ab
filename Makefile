# Each target works by itself; `make` lists them.

FUZZTIME ?= 30s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## run the proxy with mailbox servers, users and mail of its own
	./portico demo

.PHONY: build
build: ## build ./portico
	go build -o portico ./cmd/portico

.PHONY: test
test: ## install what tests need, where that is possible, and run all of them
	scripts/test

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, govulncheck
	scripts/lint

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: bench
bench: ## run the benchmarks
	scripts/test-deps bench
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: clean
clean: ## remove what was built
	rm -f portico
