#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if a Go file, a TypeScript file or a shell script does not begin with the copyright and licence lines.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# header prints the comment with which the file must begin; the "#!" line of a script and the build constraint of a
# generated Go file precede it.
header() {
  local mark="//"
  case "$1" in *.sh | .ci/run) mark="#" ;; esac
  printf '%s Copyright The KubeVision Authors.\n%s SPDX-License-Identifier: Apache-2.0\n' "${mark}" "${mark}"
}

failed=""
while IFS= read -r -d '' file; do
  if [[ "$(grep -vE '^(#!|//go:build |// \+build |$)' "${root}/${file}" | head -n 2)" != "$(header "${file}")" ]]; then
    say "error: ${file} does not begin with:"
    header "${file}" >&2
    failed="yes"
  fi
done < <(source_files '*.go' '*.ts' '*.sh' '.ci/run')

[[ -z "${failed}" ]] || exit 1
