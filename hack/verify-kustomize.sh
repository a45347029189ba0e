#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if a kustomization of config/ does not render. The kubectl is that of the local control plane.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

assets="$("${root}/hack/controlplane/build.sh")"

make_scratch
failed=""
while IFS= read -r -d '' file; do
  folder="$(dirname "${file}")"
  # A Component is a part of other kustomizations and does not render by itself.
  if grep -qE '^kind: *Component *$' "${root}/${file}"; then
    continue
  fi
  if ! "${assets}/kubectl" kustomize "${root}/${folder}" >"${scratch}/rendered.yaml"; then
    say "error: ${folder} does not render; run \"kubectl kustomize ${folder}\""
    failed="yes"
  elif [[ ! -s "${scratch}/rendered.yaml" ]]; then
    say "error: ${folder} renders to nothing"
    failed="yes"
  fi
done < <(source_files 'config/*/kustomization.yaml')

[[ -z "${failed}" ]] || exit 1
