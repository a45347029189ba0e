#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs golangci-lint over the main module, and the linter for Kubernetes APIs over the types in pkg/apis.
#
#   hack/lint.sh [--fix]

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_tool hack/tools/golangci . golangci-lint

cd "${root}"
failed=""
for config in .golangci.yml .golangci-kal.yml; do
  packages="./..."
  [[ "${config}" == .golangci.yml ]] || packages="./pkg/apis/..."
  bin/golangci-lint config verify --config "${config}"
  bin/golangci-lint run --config "${config}" "$@" "${packages}" || failed="yes"
done

[[ -z "${failed}" ]] || exit 1
