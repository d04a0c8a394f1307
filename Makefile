# Tiercel. You need Go, make and git; the rest comes with the module.
#
#   make run     build and start one node on ./tiercel-data
#   make test    everything that must hold before a change goes in
#
# The others are for working on it; CONTRIBUTING.md says when.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
DATA     ?= ./tiercel-data
# Public key of licences, in base64; `tiercel license keygen` makes a pair. Without one
# the program takes development licences, and no others.
LICENSE_KEY ?=
FUZZTIME ?= 30s
SPECTRAL := 6.16.3
# Simulation: SEEDS worlds, the first from SEED.
SEEDS    ?= 1000
SEED     ?= 1
# make test adds this many worlds from a seed nobody has seen.
FRESH_SEEDS ?= 400
CLUSTER_SEEDS ?= 80
FRESH_SEED  := $(shell date +%s)
# Of the planted bugs make test tries a sixth, another one each time.
PLANTED     ?= $(shell expr $(FRESH_SEED) % 6 + 1)/6
# Packages that run on real threads, where the race detector pays.
# actors/runtime/live is raced through actors/edge: its own tests start two networked
# nodes in one process, and protoactor's remote sets gRPC's global logger without a
# lock at every start.
RACED    := ./actors/runtime ./actors/runtime/sim ./actors/edge/... ./store/... ./httpapi/...

.DEFAULT_GOAL := build
.PHONY: run build test ci openapi golangci planted race race-if-possible drill-partitions sim sim-cluster sim-fresh drill-disks bench proto lint fuzz clean

run: build
	./bin/tiercel server --data-dir $(DATA)

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-X tiercel/internal/version.Version=$(VERSION) -X tiercel/internal/version.LicenseKey=$(LICENSE_KEY)" -o bin/tiercel ./cmd/tiercel

# The architecture test, generated code and planted bugs are Go tests like the
# others. Nothing is cached: planted bugs depend on all of the source. One package
# at a time: tests of real nodes and processes should not compete for two cores.
test: lint build race-if-possible sim-fresh drill-partitions drill-disks
	@echo "planted bugs: share $(PLANTED); make planted tries them all"
	PLANTED_SHARE=$(PLANTED) go test -p 1 -count=1 -timeout 40m ./...

planted:
	go test -count=1 -timeout 60m ./internal/planted

# The linters come first, so that the last lines are those of go test.
ci: openapi golangci test

# The OpenAPI document against the rules of OpenAPI itself, its examples included. What
# it says of this server is a Go test.
openapi:
	@if ! command -v npm >/dev/null 2>&1; then \
		echo "OpenAPI rules: NOT RUN, they need npm (Node.js)"; \
	elif [ ! -x bin/spectral-$(SPECTRAL)/node_modules/.bin/spectral ] && \
		! npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix bin/spectral-$(SPECTRAL) @stoplight/spectral-cli@$(SPECTRAL); then \
		echo "OpenAPI rules: NOT RUN, spectral $(SPECTRAL) could not be installed"; \
	else \
		bin/spectral-$(SPECTRAL)/node_modules/.bin/spectral lint --fail-severity warn --ruleset .ci/spectral.yaml httpapi/openapi.json; \
	fi

# golangci-lint has more dependencies than Tiercel, so it has a module of its own. It is
# built once; its configuration is .golangci.yaml.
golangci: bin/golangci-lint
	bin/golangci-lint run ./...

bin/golangci-lint: .ci/golangci/go.mod
	go -C .ci/golangci build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

race:
	go test -p 1 -race -short -count=1 -timeout 20m $(RACED)

# The race detector needs a C compiler, which a user's machine may not have.
race-if-possible:
	@if [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory race; \
	else \
		echo "race detector: NOT RUN, it needs a C compiler (gcc)"; \
	fi

sim:
	TIERCEL_SEEDS=$(SEEDS) TIERCEL_SEED=$(SEED) go test -count=1 -timeout 120m -run 'TestSeeds' ./actors/simtest

# Clusters of 2 to 20 nodes: slower, so fewer.
sim-cluster:
	TIERCEL_SEEDS=$(CLUSTER_SEEDS) TIERCEL_SEED=$(SEED) go test -count=1 -timeout 120m -run 'TestClusterSeeds' ./actors/simtest

sim-fresh:
	@echo "fresh seed $(FRESH_SEED); repeat with: make sim SEED=$(FRESH_SEED) SEEDS=$(FRESH_SEEDS)"
	@$(MAKE) --no-print-directory sim SEED=$(FRESH_SEED) SEEDS=$(FRESH_SEEDS)
	@echo "clusters: repeat with: make sim-cluster SEED=$(FRESH_SEED) CLUSTER_SEEDS=$(CLUSTER_SEEDS)"
	@$(MAKE) --no-print-directory sim-cluster SEED=$(FRESH_SEED)

# Partitions of real processes by a packet filter, in a network namespace of its own;
# it needs root and iptables.
drill-partitions:
	@if unshare -n iptables -L >/dev/null 2>&1; then \
		unshare -n sh -c 'ip link set lo up && go test -count=1 -timeout 20m -tags partitions -run TestPartition -v ./cmd/tiercel/internal/drill'; \
	else \
		echo "partitions: NOT RUN, they need root, unshare, ip and iptables"; \
	fi

# Disks of real processes that hang, fail and fill up, in a mount namespace of its own;
# it needs root, loop devices and mkfs.ext4.
drill-disks:
	@if unshare -m sh -c 'mount --make-rprivate / && d=$$(mktemp -d) && truncate -s 16M $$d.img && mkfs.ext4 -q -F $$d.img && mount -o loop $$d.img $$d && umount $$d; s=$$?; rm -rf $$d $$d.img; exit $$s' >/dev/null 2>&1; then \
		tests=TestDisk; if ! command -v bindfs >/dev/null 2>&1; then tests=TestDisk_OneThat; echo "a disk that answers nothing: NOT RUN, it needs bindfs"; fi; \
		unshare -m sh -c 'mount --make-rprivate / && go test -count=1 -timeout 20m -tags disks -run '"$${tests}"' -v ./cmd/tiercel/internal/drill'; \
	else \
		echo "disks: NOT RUN, they need root, unshare, loop devices and mkfs.ext4"; \
	fi

bench: build
	go run ./bench suite

proto:
	go run ./internal/protogen

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w these files:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

# Each fuzz target for FUZZTIME. Making an input smaller that only reached new code is not
# worth the minute that it may take by default.
fuzz:
	@for file in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "fuzz $$target in $$(dirname $$file) for $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$(dirname $$file)" || exit 1; \
		done; \
	done

clean:
	rm -rf bin
