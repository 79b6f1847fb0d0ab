# Each target works by itself; `make` lists them.

FUZZTIME ?= 30s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## run the proxy with mailbox servers, users and mail of its own
	./portico demo

.PHONY: build
build: ## build ./portico
	go build -o portico ./cmd/portico

.PHONY: test
test: ## install what tests need, where that is possible, and run all of them
	scripts/test

.PHONY: image
image: ## write the container image into ./dist: an OCI layout, and archives for docker load
	cd packaging/container && go run ./image -out $(CURDIR)/dist

.PHONY: test-image
test-image: image ## run the image in a root of its own, and check the files for Compose and Kubernetes; needs root
	cd packaging/container && go test -count 1 . && go test -count 1 ./image -args -image $(CURDIR)/dist/image

RELEASE ?= 13

.PHONY: test-bare
test-bare: ## run all tests in a bare root of Debian RELEASE (13); needs root
	scripts/bare-root $(RELEASE)

.PHONY: package
package: ## build packages for Debian, Red Hat and Alpine in dist
	scripts/package

.PHONY: release
release: ## build the release of HEAD's tag, twice, and compare
	scripts/release

.PHONY: test-package
test-package: ## use the packages in a clean Debian 12 and 13 as a new user does; needs root
	scripts/test-package

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, a build for macOS, govulncheck
	scripts/lint

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: soak
soak: ## simulate a week of faults under recovery, without the race detector (a minute)
	go test -count 1 -v -run 'Week|Day|Throttling' ./health/recovery -whole

.PHONY: soak-upgrade
soak-upgrade: ## 50 upgrades under 5,000 open sessions and 2,000 new ones a second (five minutes)
	go test -count 1 -v -timeout 15m -run UpgradesUnderLoad ./cmd/portico/node -upgrades 50 -open 5000 -rate 2000 -pause 2s

.PHONY: soak-moves
soak-moves: ## move databases while nodes and etcd fail: 200 simulated sites, and a real etcd (five minutes)
	go test -count 1 -v -timeout 20m -run TwoPlaces ./backend/move -seeds 200 -etcd 3m

# AWAY=0s: until the nodes have noticed; then it takes a minute.
AWAY ?= 10m

.PHONY: soak-site
soak-site: ## three nodes behind HAProxy, with Dovecots: what fails, and who notices; etcd is away for AWAY (10m), twice (25 minutes)
	go test -count 1 -v -timeout 60m -run SiteBehindHAProxy ./cmd/portico/node -site-clients 60 -site-rate 20 \
		-site-away $(AWAY) -site-suspended 30s

.PHONY: soak-cluster
soak-cluster: ## five node processes: 1,000 moves, a million admissions, all kinds of faults; suspended leaders (an hour)
	go test -count 1 -v -timeout 90m -run SiteNeverAtTwoServers ./backend $(site-faults) -site-admissions 1000000 \
		-site-deaths 24 -site-keeps=false
	go test -count 1 -v -timeout 90m -run SiteNeverAtTwoServers ./backend $(site-faults) -site-admissions 500000 \
		-site-deaths 24
	go test -count 1 -v -timeout 30m -run SiteNeverAtTwoServers ./backend $(site-faults) -site-trusts
	go test -count 1 -v -timeout 30m -run TwoLeaders ./cmd/portico/node -suspended-leaders 2

site-faults := -site-moves 1000 -site-users 32 -site-suspended 1m -site-etcd-away 15s

.PHONY: soak-scale
soak-scale: ## 200 nodes and 1,000 databases with one etcd: what moves, sign-ins, an outage and restarts cost (half an hour)
	go test -count 1 -v -timeout 60m -run 'AtScale|StartAtOnce' ./cluster -scale-nodes 200

# RECORD=1 makes the figures the recorded ones.
.PHONY: bench
bench: ## run the benchmarks, each beside its recorded figure
	@results=$$(mktemp) && trap 'rm -f "$$results"' EXIT && \
	{ go test -run '^$$' -bench . -benchmem -benchtime 0.5s -count 3 -p 1 ./... >"$$results" || { cat "$$results"; exit 1; }; } && \
	go run ./bench/record $(if $(RECORD),-write) <"$$results"

ROUNDS ?= 7
MEMORY_ROUNDS ?= 2
# ROUNDS=1 tries it out in a few minutes; ONLY='sign-in|storm' measures some rows, and BESIDE=PROGRAM another Portico instead of the
# other proxies: both leave the document alone. PEERS_ROOT=FOLDER takes the other proxies from a folder that scripts/peers-root made.
.PHONY: bench-peers
bench-peers: ## measure beside nginx, HAProxy and Dovecot, write docs/performance.md
	scripts/test-deps
	go run ./bench/peers/measure -root '$(PEERS_ROOT)' -rounds $(ROUNDS) -memory-rounds $(MEMORY_ROUNDS) -only '$(ONLY)' -beside '$(BESIDE)' -document docs/performance.md

.PHONY: profile
profile: ## renew cmd/portico/default.pgo, which the compiler goes by
	go run ./bench/peers/measure -profile cmd/portico/default.pgo

.PHONY: openapi
openapi: ## write the API's description from the Go types, if it only grows
	go test ./health/admin -run TestDescription$$ -count 1 -update-description

.PHONY: screenshots
screenshots: ## renew the pictures of the console in docs/img
	go test ./cmd/portico/demo -run TestConsolePictures$$ -count 1 -pictures $(CURDIR)/docs/img

.PHONY: dashboard
dashboard: ## write configs/grafana/portico.json from its table of panels
	go test ./configs/grafana -run TestDashboard$$ -count 1 -update-dashboard

.PHONY: clean
clean: ## remove what was built
	rm -f portico
