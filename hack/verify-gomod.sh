#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if a go.mod or go.sum is not tidy, or if the main module depends on k8s.io/kubernetes.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_scratch
failed=""
while IFS= read -r -d '' file; do
  folder="$(dirname "${file}")"
  if ! (cd "${root}/${folder}" && GOFLAGS=-mod=mod go mod tidy -diff) >"${scratch}/differences"; then
    head -n 60 "${scratch}/differences"
    say "error: ${file} is not tidy; run \"go mod tidy\" in ${folder}"
    failed="yes"
  fi
done < <(source_files 'go.mod' '*/go.mod')

# The packages of k8s.io/kubernetes are not made to be imported. Only the module hack/controlplane needs them.
if grep -nE '^[[:space:]]*(require[[:space:]]+)?k8s\.io/kubernetes[[:space:]]' "${root}/go.mod" >&2; then
  say "error: go.mod requires k8s.io/kubernetes; import k8s.io/api, apimachinery, apiserver or client-go instead"
  failed="yes"
fi

[[ -z "${failed}" ]] || exit 1
