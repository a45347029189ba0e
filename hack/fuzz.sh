#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target of the main module for a short time, one after the other.
#
#   FUZZTIME  how long each of them runs (default: 10s)

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly fuzz_time="${FUZZTIME:-10s}"

cd "${root}"
failed=()
found=0
while IFS= read -r -d '' file; do
  while read -r target; do
    found=$((found + 1))
    say "== ${target} in $(dirname "${file}") for ${fuzz_time}"
    go test -run '^$' -fuzz "^${target}\$" -fuzztime "${fuzz_time}" "./$(dirname "${file}")" || failed+=("${target}")
  done < <(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*\*testing\.F\).*/\1/p' "${file}")
done < <(source_files 'pkg/*_test.go' 'cmd/*_test.go' 'test/*_test.go')

if ((${#failed[@]} > 0)); then
  die "these fuzz targets failed: ${failed[*]}; the failing input is in the package's testdata/fuzz folder"
fi
say "${found} fuzz targets found nothing"
