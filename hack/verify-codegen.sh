#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if generated files differ from the output of hack/update-codegen.sh. The tree is not changed.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The files that the generators read and write; the type packages import nothing else of the project.
readonly inputs=(go.mod go.sum pkg/apis)
# The output is truncated to this number of lines, because a missing file differs in every line.
readonly shown_lines=60
readonly outputs=(pkg/apis pkg/apiserver/openapi config/crd/bases)

make_scratch
copy="${scratch}/copy"
for path in "${inputs[@]}" "${outputs[@]}"; do
  if [[ -e "${root}/${path}" && ! -e "${copy}/${path}" ]]; then
    mkdir -p "$(dirname "${copy}/${path}")"
    cp -R "${root}/${path}" "${copy}/${path}"
  fi
done

"${root}/hack/update-codegen.sh" "${copy}"

stale=""
cd "${scratch}"
ln -s "${root}" tree
for path in "${outputs[@]}"; do
  if ! diff -Nru "tree/${path}" "copy/${path}" >differences; then
    stale="yes"
    head -n "${shown_lines}" differences
  fi
done
if [[ -n "${stale}" ]]; then
  die "generated files are out of date (see the differences above); run hack/update-codegen.sh and commit what it changes"
fi
