# Requires Go, make, git and curl. The tools and the local control plane are built from source on first use, at the
# versions of hack/tools and hack/controlplane. Docker is required only for "make image", and npm only for the
# TypeScript client, whose checks are skipped without it.

# Arguments for the program of "make run", for example ARGS="--help".
ARGS ?=
# Additional flags for go test in the test targets, for example TESTFLAGS="-run TestLogin -v".
TESTFLAGS ?=
# The packages of "make test" and "make test-unit".
PKG ?= ./...
UNIT_PKG = $(if $(filter ./...,$(PKG)),./cmd/... ./hack/... ./pkg/... ./test/docs ./test/environment \
	./test/conformance/wire ./test/integration/pages,$(PKG))
# The installation that "make conformance" tests: the address of its kubevision-apiserver. Without it, an installation
# is started. CA is the file with the authority of that address, by default the authority in the installation's
# Secret; $KUBECONFIG is that of an administrator of its cluster.
URL ?=
CA ?=
# The read cache of an installation that "make conformance" starts: on, off or stale.
READ_CACHE ?= on
# The duration of each flood, and of each attack of a member, in "make test-limits" and "make bench"; published
# results use a minute.
FLOOD ?= 10s
# The duration for which "make test-limits" repeatedly disconnects clients of the watch. Published results use 10m.
RESUME ?= 1m
# The time for which "make fuzz" runs each fuzz target.
FUZZTIME ?= 10s
# The name of the image that "make image" builds, by default that of config/default.
IMAGE ?= kubevision:v0.1.0
REPOSITORY = $(shell echo '$(IMAGE)' | sed 's|:[^:/]*$$||')

MODULE := github.com/kubevision-io/kubevision

# A history without tags gets a version with the commit.
VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo "v0.0.0-g$$(git describe --always --dirty 2>/dev/null || echo unknown)")
COMMIT ?= $(shell git rev-parse --verify --quiet HEAD 2>/dev/null || echo unknown)
# The commit's time instead of the current time: the same commit always results in the same programs.
BUILD_DATE ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo unknown)

# k8s.io/component-base/version is not set: the API server library derives the emulated Kubernetes release from it,
# and would mistake KubeVision's version for one.
VERSION_FLAGS = -X $(MODULE)/pkg/version.version=$(VERSION) \
	-X $(MODULE)/pkg/version.commit=$(COMMIT) \
	-X $(MODULE)/pkg/version.date=$(BUILD_DATE) \
	-X k8s.io/client-go/pkg/version.gitVersion=$(VERSION) \
	-X k8s.io/client-go/pkg/version.gitCommit=$(COMMIT)

# Prints yes if the race detector can be compiled: on Linux it requires cgo, a C compiler and the C library's headers.
HAVE_CGO = test "$$(go env CGO_ENABLED)" = 1 && echo '\#include <stdlib.h>' | $$(go env CC) -E -x c - >/dev/null 2>&1 && echo yes

# Sets "race" and CGO_ENABLED for the rest of a recipe's line.
CHOOSE_RACE = if [ "$$($(HAVE_CGO))" = yes ]; then race=-race; export CGO_ENABLED=1; else race=; export CGO_ENABLED=0; \
	echo "notice: no C compiler found, so the tests run without the race detector" >&2; fi

# Kubernetes' client libraries panic if a shared object is changed. KUBE_PANIC_WATCH_DECODE_ERROR is not set, because
# it would stop kube-apiserver when a test breaks a conversion webhook. GOGC reduces the number of garbage collections,
# because memory is less scarce than time.
TEST_ENV = KUBE_CACHE_MUTATION_DETECTOR=true GOGC=400

# Reports a skipped test, which go test does not.
CHECK_BROWSER = command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	command -v google-chrome >/dev/null || \
	echo "notice: Chromium was not found, so that no browser tries the dashboard: TestBrowser is skipped" >&2

# Half of the time of programs with the race detector would be spent in the inner loops of password hashes, which
# share no memory.
FAST_HASHES = -gcflags='golang.org/x/crypto/argon2=-race=false -d=checkptr=0'

# Half of the time of the linker would be spent in debugging symbols.
FAST_LINK = -ldflags=-w

# The flags of go test in "make test".
TEST_FLAGS = $(FAST_LINK) -vet=off -p 3 -count 1 -timeout 45m

# The programs under test, which all test packages share; the folder race has them with the race detector.
TEST_PROGRAMS = $(CURDIR)/bin/test

# The tests that load the programs to their limits, and those of whole clusters. "make test" excludes them, and
# "make test-limits" and "make e2e" run them.
LIMITS = /test/integration/limits
# The packages of test/integration that take the longest. "make test" starts them first, so that none of them runs alone
# at the end.
LONGEST = members apiserver controllers installation streams
E2E = /test/e2e

# Builds the missing parts of the local control plane and sets its path for the tests.
CONTROL_PLANE = KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" && export KUBEBUILDER_ASSETS

.DEFAULT_GOAL := help

##@ Getting started

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## Start a local cluster with KubeVision in it, with the data of the last run; ARGS="--help" shows the options.
	CGO_ENABLED=0 go run -trimpath ./hack/run $(ARGS)

.PHONY: stop
stop: ## Stop what "make run" started.
	CGO_ENABLED=0 go run -trimpath ./hack/run --stop

##@ Testing

.PHONY: test
# Three packages run concurrently, each with its own control plane, since they wait for a part of the time. The packages
# and the programs are compiled beforehand, and "make verify" runs vet. The tests beside the code have the race detector.
# Those in test/ only send requests: of the programs under test, those of the packages with DetectRaces have it
# (test/environment).
test: ## Run all tests: unit, integration and conformance.
	@$(CHOOSE_RACE); $(CHECK_BROWSER); export $(TEST_ENV); \
	failed=; packages=$$(go list $(PKG)) || exit 1; \
	beside=$$(echo "$$packages" | grep -v $(MODULE)/test/); \
	requests=$$(for name in $(LONGEST); do echo "$$packages" | grep "/test/integration/$$name\$$"; done; \
		echo "$$packages" | grep $(MODULE)/test/ | \
		grep -v -e $(LIMITS) -e $(E2E) $(LONGEST:%=-e /test/integration/%\$$)); \
	{ [ -z "$$beside" ] || go list $$race -export -f '' $$beside; } && \
	CGO_ENABLED=0 go build $(FAST_LINK) -o $(TEST_PROGRAMS)/ ./cmd/... && \
	go build $$race $(FAST_HASHES) $(FAST_LINK) -o $(TEST_PROGRAMS)/race/ ./cmd/... && $(CONTROL_PLANE) || exit 1; \
	export KUBEVISION_PROGRAMS=$(TEST_PROGRAMS); \
	[ -z "$$beside" ] || go test $$race $(TEST_FLAGS) $(TESTFLAGS) $$beside || failed=yes; \
	export CGO_ENABLED=0 KUBEVISION_DETECT_RACES="$$race"; \
	[ -z "$$requests" ] || go test $(TEST_FLAGS) $(TESTFLAGS) $$requests || failed=yes; \
	[ -z "$$failed" ]

.PHONY: test-limits
# Runs alone, since other tests would time out during the floods. Runs without the race detector, which needs several
# times the memory, and without the mutation detector, which copies every cached object.
test-limits: ## Load the programs to the limits of config/ and measure their memory.
	@export CGO_ENABLED=0 && go build -o $(TEST_PROGRAMS)/plain/ ./cmd/... && $(CONTROL_PLANE) && \
	export KUBEVISION_PROGRAMS=$(TEST_PROGRAMS)/plain && \
	go test -vet=off -count 1 -timeout 60m $(TESTFLAGS) .$(LIMITS) -flood=$(FLOOD) && \
	go test -vet=off -count 1 -timeout 60m -run TestRemovalInEveryOrder ./test/integration/installation -every-order && \
	go test -vet=off -count 1 -timeout 60m -run TestStrangersDoNotCloseTheLogin ./test/integration/apiserver -every-flood && \
	go test -vet=off -count 1 -timeout 60m -run 'TestMemory|TestLimitExceeded|TestLabelled' $(TESTFLAGS) ./test/integration/members -flood=$(FLOOD) && \
	go test -vet=off -count 1 -timeout 60m -run TestResume $(TESTFLAGS) ./test/integration/streams -duration=$(RESUME)

.PHONY: test-unit
# Without the race detector and without the packages whose tests all need a control plane, which "make test" has. Some
# tests wait most of their time, so that three packages at once use two processors best.
test-unit: ## Run the tests that need no control plane.
	@CGO_ENABLED=0 $(TEST_ENV) go test $(FAST_LINK) -vet=off -p 3 -short -timeout 10m $(TESTFLAGS) $(UNIT_PKG)

.PHONY: e2e
# Without the race detector: whole clusters share the machine. An interrupt ends everything.
e2e: ## Test a release in whole clusters, with a kubelet and under load; requires root on Linux with apt-get.
	@cd .$(E2E) && CGO_ENABLED=0 go test -vet=off -count 1 -timeout 40m $(TESTFLAGS) -args -e2e $(ARGS)

.PHONY: conformance
# Without a package argument, go test prints the output of a passing test: the table of codes.
conformance: ## Run the conformance tests only; URL= and CA= point them at an installation that is there already (docs/conformance.md).
	@$(CHOOSE_RACE); if [ -z "$(URL)" ]; then $(CONTROL_PLANE); fi && \
	cd test/conformance && $(TEST_ENV) go test $$race -count 1 -timeout 30m $(TESTFLAGS) -args -url=$(URL) -ca=$(abspath $(CA)) -read-cache=$(READ_CACHE)

.PHONY: bench
bench: ## Run the benchmarks.
	@$(CONTROL_PLANE) && \
	go test -p 1 -run '^$$' -bench . -benchmem -timeout 60m ./test/benchmark/... -flood=$(FLOOD) $(TESTFLAGS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each.
	@FUZZTIME=$(FUZZTIME) hack/fuzz.sh

##@ Checking

.PHONY: verify
verify: ## Run every check that is not a test: headers, modules, generated code, lint, manifests.
	@hack/verify-all.sh

.PHONY: lint
lint: ## Run the linters; ARGS=--fix applies what they can correct.
	@hack/lint.sh $(ARGS)

.PHONY: generate
generate: ## Generate what is made from types, routes, metrics and config/: CRDs, OpenAPI, clients, the chart, rights.
	@hack/update-codegen.sh
	@hack/update-clients.sh
	@hack/update-metrics.sh
	@hack/update-rights.sh
	@hack/update-chart.sh

##@ Building

.PHONY: build
build: ## Build the programs into bin/.
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w $(VERSION_FLAGS)' -o bin/ ./cmd/...

.PHONY: image
image: ## Build the container image IMAGE.
	docker build --build-arg 'LDFLAGS=$(VERSION_FLAGS)' --tag $(IMAGE) .

.PHONY: release
# Without a container runtime. The image has the name IMAGE without its tag, and the tag VERSION.
release: ## Build a release into bin/release-VERSION: image for amd64 and arm64, manifests, chart, bill of materials.
	@hack/release.sh all -output bin/release-$(VERSION) -repository $(REPOSITORY) -version $(VERSION) -commit $(COMMIT) \
		-date $(BUILD_DATE) -ldflags '$(VERSION_FLAGS)'

.PHONY: manifests
manifests: ## Print the manifests of an installation with the image IMAGE, for "kubectl apply -f -".
	@hack/release.sh manifests -image $(IMAGE)

.PHONY: client
client: ## Build the TypeScript client and pack it into bin/.
	@hack/pack-client.sh $(VERSION)

.PHONY: clean
clean: ## Remove what was built here; "make run" keeps its data.
	rm -rf bin coverage coverage.* clients/typescript/build clients/typescript/dist
