# What a person runs; `make help` lists it. .ci/run calls lint, test and demo, so a green merge can be had by hand too.
#
# The board's agent and the server are two trees with a lock file each: the root, and server/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

# Tools that scripts/install-tools had to fetch live here, shared by all clones.
export TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cloudtalker/tools
export PATH := $(TOOLS)/bin:$(PATH)

# One recipe after the other: cargo is parallel by itself, and mixed output helps nobody.
.NOTPARALLEL:

.PHONY: build
build: ## Build both programs for this machine: target/release/ and server/target/release/
	cargo build --release --locked
	cd server && cargo build --release --locked

.PHONY: demo
demo: debug-build ## Server, agent and a synthetic camera until Ctrl-C; ONCE=1 proves one round trip and ends
	server/target/debug/examples/demo --agent target/debug/cloudtalker \
		--server server/target/debug/cloudtalker-server $(if $(ONCE),--once)

.PHONY: lint
lint: ## Formatting, clippy, rustdoc, licences and banned crates, the pure core, scripts, recipes
	scripts/install-tools lint
	@$(call title,formatting)
	cargo fmt --check
	cd server && cargo fmt --check
	cd tests/faultfs && cargo fmt --check
	cd fuzz && cargo fmt --check
	@$(call title,the pure core)
	scripts/check-pure --self-test
	scripts/check-pure
	@$(call title,the planted faults still fit)
	for fault in tests/sim/planted/*.patch; do patch --dry-run --quiet --strip 1 --fuzz 0 <$$fault; done
	@$(call title,scripts)
	scripts/when-changed --self-test
	shellcheck --external-sources $$(git grep -lE '^#!.*\b(ba)?sh$$')
	shellcheck --shell sh --exclude SC2034 dist/openrc/cloudtalker # OpenRC reads its variables
	shellcheck --shell sh --exclude SC2034,SC2154 dist/alpine/APKBUILD # abuild reads its variables, and has others
	flake8 --max-line-length 132 --extend-ignore E203 $$(git grep -lE '^#!.*\bpython3$$')
	@$(call title,image builders)
	scripts/recipes --check
	cd yocto/meta-cloudtalker && oelint-adv --quiet --release wrynose $(unknown_of_recipes) \
		conf/layer.conf $$(git ls-files '*.bb' '*.inc')
	@$(call title,licences and banned crates)
	cargo deny --locked check bans licenses sources
	cd server && cargo deny --locked check bans licenses sources
	cd tests/faultfs && cargo deny --locked --config ../../deny.toml check -A unmatched-skip \
		-A license-exception-not-encountered bans licenses sources
	cd fuzz && cargo deny --locked check bans licenses sources
	@$(call title,clippy)
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	cargo clippy --locked --all-targets --no-default-features --features engine -- -D warnings
	cd server && cargo clippy --locked --all-targets -- -D warnings
	cd tests/faultfs && cargo clippy --locked --all-targets -- -D warnings
	@$(call title,rustdoc)
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	cd server && RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

# There is no page of the project's yet, and nobody runs a camera's agent while an image is built.
unknown_of_recipes = $(addprefix --suppress ,oelint.var.mandatoryvar.HOMEPAGE oelint.var.suggestedvar.BUGTRACKER \
	oelint.var.bbclassextend)

.PHONY: test
test: ## Install what the tests need, build both programs, run every test
	scripts/install-tools test
	@$(MAKE) debug-build test-agent test-sim test-server test-web

.PHONY: test-agent
test-agent: debug-build ## The agent: unit tests, some simulated lives, the real programs together
	@$(call title,agent)
	cd tests/faultfs && cargo build --locked && cargo test --locked
	RUST_TEST_THREADS=$(at_once) cargo test --locked --no-fail-fast

# The agent's tests mostly wait: for deadlines, links, whoever is started anew. So more run at once than there are cores.
at_once = 8

.PHONY: test-sim
test-sim: ## 20,000 simulated lives of a board, and the faults planted to prove that they find what they should
	@$(call title,simulation)
	SIM_SEEDS=20000 $(simulation)
	scripts/plant-faults

.PHONY: torture
torture: ## Simulated lives from a random one on, for SECONDS=n (60 without)
	SIM_SECONDS=$(SECONDS) $(simulation)

.PHONY: replay
replay: ## One of them again, by the line that a failure prints
	$(simulation)

simulation = cargo test --locked --profile torture --no-default-features --features engine --test sim \
	nothing_acknowledged -- --nocapture

.PHONY: test-server
test-server: debug-build ## The server: unit tests, routes, uploads, joining
	@$(call title,server)
	cd server && cargo test --locked --no-fail-fast

.PHONY: test-web
test-web: debug-build ## The pages, in a real browser; rooms, with the clients of Socket.IO and a real Janus
	@$(call title,web)
	node $(by_node) server/tests/web/*.test.mjs server/tests/room/*.test.mjs
	server/tests/web/room/lan.py node $(by_node) --test-concurrency=1 server/tests/web/room/*.test.mjs

# What a file of tests leaves running, where it fails, would keep it from ending.
by_node = --test --test-timeout=600000

.PHONY: test-boot
test-boot: debug-build ## Boards boot in an emulator, are used, cut off in mid-upload, boot again; TARGET=armv7 or aarch64 is one
	scripts/install-tools cross boot
	@$(call title,boot)
	cross/build $(arm)
	TMPDIR=/dev/shm cargo test --locked --test boot $(TARGET) -- --nocapture

.PHONY: test-systemd
test-systemd: debug-build ## The agent as a service of a real systemd, in a container (as root)
	scripts/install-tools systemd
	@$(call title,systemd)
	cargo test --locked --test systemd -- --nocapture

.PHONY: test-openrc
test-openrc: debug-build ## The agent as a service of OpenRC, in a container (as root)
	scripts/install-tools openrc
	@$(call title,OpenRC)
	cargo test --locked --test openrc -- --nocapture

.PHONY: docker
docker: server-binary ## Images of both programs, for `docker-compose up`
	@$(MAKE) cross TARGET=x86_64
	docker-compose build

.PHONY: test-docker
test-docker: server-binary ## The images by docker-compose, on a daemon and a network of the test's own (as root)
	scripts/install-tools test docker
	@$(MAKE) cross TARGET=x86_64
	@$(call title,docker)
	cargo test --locked --test docker --no-run
	$(apart) cargo test --locked --test docker -- --nocapture

.PHONY: deb
deb: server-binary ## Debian packages: the agent for armhf, arm64 and amd64, the server for amd64, into dist/
	scripts/install-tools deb
	@$(MAKE) cross TARGET='armv7 aarch64 x86_64'
	@$(call title,Debian packages)
	scripts/deb
	lintian --fail-on error,warning --suppress-tags $(of_debians_archive) dist/cloudtalker*.deb

# What holds for packages that are part of Debian.
of_debians_archive = initial-upload-closes-no-bugs

.PHONY: test-deb
test-deb: deb ## The packages installed, used, upgraded and purged on a real Debian, in a container (as root)
	scripts/install-tools systemd
	@$(call title,Debian packages)
	scripts/deb --version 99.0-1 --output target/deb/next x86_64 server
	cargo test --locked --test debian --no-run
	$(apart) cargo test --locked --test debian -- --nocapture

# In a network of its own, and nothing that is started there outlives it.
apart = unshare --net --mount-proc --pid --fork --kill-child sh -c 'ip link set lo up && exec "$$@"' sh

# What the tests and the demo run: each tree's tests start the other tree's program.
.PHONY: debug-build
debug-build:
	@$(call title,both programs)
	cargo build --locked
	cd server && cargo build --locked --bins --examples

.PHONY: cross
cross: ## Static binaries for boards, with sums, SBOMs, licences: dist/; TARGET=armv7, aarch64, armv6 or x86_64 is one
	scripts/install-tools cross
	@$(call title,binaries for boards)
	cross/build $(TARGET)
	$(TOOLS)/cross/bin/python cross/check $(if $(RECORD),--record) $(TARGET)
	$(TOOLS)/cross/bin/python cross/check --self-test $(TARGET)

.PHONY: server-binary
server-binary:
	scripts/install-tools cross
	@$(call title,the static server)
	cross/build-server
	$(TOOLS)/cross/bin/python cross/check --server

.PHONY: vendor
vendor: ## Gather the agent's crates into vendor/, for Buildroot with CLOUDTALKER_OVERRIDE_SRCDIR
	scripts/vendor

.PHONY: source
source: ## The agent's source with its crates, and the recipes with it, as image builders take them: dist/*.tar*
	scripts/vendor --tarball

.PHONY: test-source
test-source: ## The source's tarballs, made twice and taken for a build that has nothing else
	@$(call title,source)
	scripts/vendor --check

.PHONY: release
release: ## All that a release has, into dist/: programs, packages, source, SBOMs, sums, what is new; DRAFT=1 before its section
	scripts/release --check
	rm -rf dist/cloudtalker[-_]*
	@$(MAKE) cross deb source
	scripts/release

.PHONY: yocto-crates
yocto-crates: ## The list of crates in Yocto's recipe, anew from Cargo.lock
	scripts/recipes

.PHONY: release-check
release-check: ## Build a board's binary twice, in different directories, and compare byte for byte; TARGET=armv7
	scripts/install-tools cross
	@$(call title,release check)
	cross/release-check $(TARGET)

.PHONY: size-table
size-table: ## What each choice saves in a board's binary, and what that is made of, in an hour and more: writes docs/size.md
	scripts/install-tools cross
	@$(call title,size table)
	cross/size-table

.PHONY: test-arm
test-arm: debug-build ## tests/agent with the boards' binaries under qemu; TARGET=armv7, aarch64 or armv6 is one
	scripts/install-tools cross test test-arm
	cd tests/faultfs && cargo build --locked
	@$(call title,agent under qemu)
	cross/build $(arm)
	tests/arm/run $(arm)

arm = $(or $(TARGET),armv7 aarch64)

.PHONY: herd
herd: ## A thousand agents return after three outages of the server, in six minutes: writes docs/reconnect.svg
	@$(call title,herd)
	cd server && cargo build --release --locked
	CLOUDTALKER_SERVER=$(CURDIR)/server/target/release/cloudtalker-server \
		cargo bench --locked --target-dir target/bench --bench herd

# Each target for so many seconds.
SECONDS ?= 60

.PHONY: fuzz
fuzz: ## Fuzz the parsers, two at a time: SECONDS=60 for each, or only TARGET=name
	scripts/install-tools fuzz
	scripts/fuzz $(SECONDS) $(TARGET)

.PHONY: bench
bench: build ## Measure, in about 20 minutes: writes docs/benchmarks.md; ONLY=latency is one part, QUICK=1 a trial
	scripts/install-tools bench
	@$(call title,benchmarks)
	CLOUDTALKER_BIN=$(CURDIR)/target/release/cloudtalker \
		CLOUDTALKER_SERVER=$(CURDIR)/server/target/release/cloudtalker-server \
		cargo bench --locked --profile measure --target-dir target/bench --bench agent -- \
			$(if $(QUICK),--quick) $(ONLY)

.PHONY: bench-rooms
bench-rooms: ## What a room with a thousand receivers costs: writes docs/benchmarks-rooms.md; QUICK=1 a trial
	@$(call title,rooms)
	cd server && cargo bench --locked --bench rooms -- $(if $(QUICK),--quick)

.PHONY: ci-full
ci-full: ## The merge gate with all that it else leaves out where nothing has changed
	FULL=1 .ci/run

.PHONY: audit
audit: ## Known vulnerabilities in either lock file (needs a network; by hand)
	scripts/install-tools lint
	cargo deny --locked check advisories
	cd server && cargo deny --locked check advisories

.PHONY: clean
clean: ## Remove what was built
	rm -rf dist/cloudtalker[-_]* dist/SHA256SUMS target server/target tests/faultfs/target fuzz/target fuzz/found fuzz/artifacts tests/node_modules \
		vendor

.PHONY: help
help: ## This list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

title = printf '\n--- %s\n' '$(1)'
