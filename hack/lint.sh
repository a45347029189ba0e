#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs golangci-lint over the main module and the modules of development tools, and the linter for Kubernetes APIs over
# the types in pkg/apis.
#
#   hack/lint.sh [--fix]

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_tool hack/tools/golangci . golangci-lint

cd "${root}"
failed=""

# lint FOLDER CONFIG PACKAGES [FLAG...] lints packages of the module in the folder.
lint() {
  local folder="$1" config="${root}/$2" packages="$3"
  shift 3
  (cd "${folder}" && "${root}/bin/golangci-lint" run --config "${config}" "$@" "${packages}") || failed="yes"
}

for config in .golangci.yml .golangci-kal.yml; do
  bin/golangci-lint config verify --config "${config}"
done
lint . .golangci.yml ./... "$@"
lint . .golangci-kal.yml ./pkg/apis/... "$@"
# The other modules contain no code, one small main function, or code that is compiled with generated code.
for folder in hack/nodes hack/release hack/tools/promrules; do
  lint "${folder}" .golangci.yml ./... "$@"
done

[[ -z "${failed}" ]] || exit 1
