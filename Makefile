# `make help` lists the targets.

export GOTOOLCHAIN = auto

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The race detector needs a C compiler.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build bin/rutter
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/rutter ./cmd/rutter

.PHONY: envoy
envoy: ## find an Envoy, or install one as bin/envoy
	@hack/envoy.sh

.PHONY: demo
demo: build envoy ## serve examples/tutorial on 127.0.0.1:8080 until Ctrl-C (EXAMPLE=canary for another)
	@CGO_ENABLED=0 go build -o bin/backend ./examples/backend
	@exec env PATH="$(CURDIR)/bin:$$PATH" bin/backend bin/rutter standalone examples/$(or $(EXAMPLE),tutorial)

.PHONY: test
test: envoy bin/helm ## run all tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo "note: no C compiler found, so the race detector is off")
	@start=$$(date +%s); PATH="$(CURDIR)/bin:$$PATH" go test $(RACE) ./...; status=$$?; \
	echo "tests took $$(( $$(date +%s) - start )) s"; exit $$status

.PHONY: explain
explain: envoy ## hold rutter explain and the precedence of rules to a real Envoy, by many random requests
	PATH="$(CURDIR)/bin:$$PATH" RUTTER_ROUNDS=12 go test -count=1 -v ./projector/envoy -run '^(TestEvaluationAgreesWithEnvoy|TestRulesTakePrecedenceAsSpecified|TestAWrongPrecedenceIsNoticed)$$'

.PHONY: lint
lint: bin/golangci-lint ## check the style and the arrows between packages
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	bin/golangci-lint run ./...
	@$(MAKE) --no-print-directory -C conformance lint

bin/golangci-lint: tools/go.mod tools/go.sum
	cd tools && go build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/helm: tools/helm/go.mod tools/helm/go.sum
	cd tools/helm && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o ../../bin/helm helm.sh/helm/v4/cmd/helm

.PHONY: cluster
cluster: build envoy ## run a Kubernetes cluster on this machine until Ctrl-C, without containers (ARGS='-- COMMAND' runs that in it)
	@$(MAKE) --no-print-directory -C conformance cluster

.PHONY: conformance
conformance: build envoy bin/helm ## run the official conformance suite against the chart (its flags in ARGS: one run, with these)
	@$(MAKE) --no-print-directory -C conformance $(if $(ARGS),suite,all)

.PHONY: faults
faults: build envoy bin/helm ## break things under traffic, in that cluster, against the chart (flags of go test in ARGS)
	@$(MAKE) --no-print-directory -C conformance faults

.PHONY: replay
replay: ## refold all recorded histories with this build, and a bundle of yours (BUNDLE=file)
	go test ./replay-tests -run 'TestRefolded' -v $(if $(BUNDLE),-bundle $(abspath $(BUNDLE)))

.PHONY: replay-mutants
replay-mutants: ## disable the code that each recorded history covers, and see it go red (NAME=history for one)
	go test ./replay-tests -run 'TestMutants/$(NAME)' -v -mutants -timeout 60m

.PHONY: record-history
record-history: envoy ## record a history anew from a running system, as root (NAME=history)
	@test -n "$(NAME)" || { echo "say which: make record-history NAME=history"; exit 2; }
	unshare --net sh -c 'ip link set lo up && ip address add 192.0.2.1 dev lo && ip route add default dev lo && exec go test ./replay-tests -count=1 -timeout 30m -run TestRecord -record "$(NAME)"'

.PHONY: bench
bench: envoy ## run all benchmarks
	PATH="$(CURDIR)/bin:$$PATH" go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-cluster
bench-cluster: build envoy bin/helm ## measure Rutter in a cluster on this machine, as the chart installs it (its flags in ARGS)
	@$(MAKE) --no-print-directory -C conformance bench

.PHONY: update-golden
update-golden: envoy bin/helm ## rewrite the expected sections of all golden stories, and the rendered chart; then read the diff
	PATH="$(CURDIR)/bin:$$PATH" go test $$(go list -f '{{$$path := .ImportPath}}{{range .TestImports}}{{if eq . "github.com/rutter-gateway/rutter/internal/golden"}}{{$$path}}{{end}}{{end}} {{range .XTestImports}}{{if eq . "github.com/rutter-gateway/rutter/internal/golden"}}{{$$path}}{{end}}{{end}}' ./...) ./deploy/helm -update

.PHONY: ci
ci: ## what has to pass before a change is merged: lint, conformance, faults, test and explain
	@hack/ci.sh lint conformance faults test explain

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
