#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if a kustomization of config/ does not render. It uses the kubectl of the local control plane. A Component,
# which does not render by itself, is rendered as an addition to config/default.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

assets="$("${root}/hack/controlplane/build.sh")"

make_scratch
failed=""
while IFS= read -r -d '' file; do
  folder="$(dirname "${file}")"
  rendered="${root}/${folder}"
  if grep -qE '^kind: *Component *$' "${root}/${file}"; then
    rendered="${scratch}/component"
    mkdir -p "${rendered}"
    relative="$(realpath --relative-to="${rendered}" "${root}")"
    printf 'resources: [%s]\ncomponents: [%s]\n' "${relative}/config/default" "${relative}/${folder}" \
      >"${rendered}/kustomization.yaml"
  fi
  if ! "${assets}/kubectl" kustomize "${rendered}" >"${scratch}/rendered.yaml"; then
    say "error: ${folder} does not render; run \"kubectl kustomize ${folder}\""
    failed="yes"
  elif [[ ! -s "${scratch}/rendered.yaml" ]]; then
    say "error: ${folder} renders to nothing"
    failed="yes"
  fi
done < <(source_files 'config/*/kustomization.yaml')

[[ -z "${failed}" ]] || exit 1
