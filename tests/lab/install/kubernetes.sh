# Both versions of Kubernetes, compiled from the modules their project publishes.
# Sourced, never run. Wants `go` of at least GO_VERSION on the PATH.
# shellcheck shell=bash

# The flags that make a program answer with its version; old releases keep it in two packages.
version_flags() {
  local version=$1 major minor package flags="-s -w"
  IFS=. read -r major minor _ <<<"${version#v}"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=crossfade-lab"
  done
  printf '%s' "$flags"
}

build_green() {
  local into=$1 log="$LAB_CACHE/logs/kubernetes-$GREEN_VERSION.log"
  say "kubernetes $GREEN_VERSION: compiling, about 12 minutes; log: $log"
  logged "$log" env -C "$LAB/kubernetes/green" CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
    nice go build -trimpath -ldflags "$(version_flags "$GREEN_VERSION")" -o "$into/bin/" tool
}

# The command that converts objects between versions, with which ours is compared.
build_kubectl_convert() {
  local into=$1 log="$LAB_CACHE/logs/kubectl-convert-$GREEN_VERSION.log"
  say "kubectl-convert $GREEN_VERSION: compiling, seconds where the rest was compiled; log: $log"
  logged "$log" env -C "$LAB/kubernetes/green" CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
    nice go build -trimpath -ldflags "$(version_flags "$GREEN_VERSION")" -o "$into/bin/" k8s.io/kubernetes/cmd/kubectl-convert
}

# 1.20 needs one generated file that was never published, so it is compiled from a vendor folder
# into which that file can be put: Go takes no overlay inside the module cache.
build_blue() {
  local into=$1 work=$1/work log="$LAB_CACHE/logs/kubernetes-$BLUE_VERSION"
  local -x CGO_ENABLED=0 GOFLAGS=-buildvcs=false
  say "kubernetes $BLUE_VERSION: compiling, about 11 minutes; logs: $log-*.log"
  mkdir -p "$work" "$into/bin"
  cp "$LAB"/kubernetes/blue/{go.mod,go.sum,tools.go} "$work/"
  logged "$log-download.log" env -C "$work" go mod download
  logged "$log-openapi.log" "$LAB/install/openapi.sh" "$work"
  logged "$log-vendor.log" env -C "$work" go mod vendor
  mkdir -p "$work/vendor/k8s.io/kubernetes/pkg/generated/openapi"
  mv "$work/openapi.go" "$work/vendor/k8s.io/kubernetes/pkg/generated/openapi/zz_generated.openapi.go"
  logged "$log-build.log" env -C "$work" nice go build -mod=vendor -trimpath \
    -ldflags "$(version_flags "$BLUE_VERSION")" -o "$into/bin/" \
    k8s.io/kubernetes/cmd/kube-{apiserver,controller-manager,scheduler,proxy} k8s.io/kubernetes/cmd/kubelet
  rm -rf "$work"
}
