#!/usr/bin/env bash
# openapi.sh WORK: writes WORK/openapi.go, the schema of every type that asks for one in its source. WORK is
# the module that names Kubernetes 1.20's programs. As `make generated_files` does in Kubernetes' own tree.
set -euo pipefail

cd "$1"
export GOFLAGS="${GOFLAGS:-} -mod=mod"

# The import paths of a module's packages that carry the generator's tag.
tagged() {
  local module=$1 folder=$2
  shift 2
  { grep -rlE '\+k8s:openapi-gen=' --include='*.go' "${@/#/$folder}" || true; } |
    xargs -r -n1 dirname | sort -u | sed "s#^$folder#$module#"
}

# The programs' own module, and those Kubernetes is published in besides it.
tagged_packages() {
  local module folder
  go list -m -f '{{.Path}} {{.Dir}}' all | while read -r module folder; do
    case $module in
      k8s.io/kubernetes) tagged "$module" "$folder" /pkg /cmd ;;
      k8s.io/kube-openapi | k8s.io/gengo | k8s.io/code-generator | k8s.io/sample-*) ;;
      k8s.io/*) [[ -z $folder ]] || tagged "$module" "$folder" "" ;;
    esac
  done
}

packages=$(tagged_packages | sort -u | paste -sd,)
go build -o openapi-gen k8s.io/kube-openapi/cmd/openapi-gen
: >header.txt
./openapi-gen --go-header-file header.txt --input-dirs "$packages" --output-base generated \
  --output-package openapi --output-file-base openapi --report-filename report.txt
mv generated/openapi/openapi.go openapi.go
