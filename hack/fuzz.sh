#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target of the main module for a short time, sequentially. Each package is compiled once.
#
# FUZZTIME  the time for each target (default: 10s)

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly fuzz_time="${FUZZTIME:-10s}"
# The default cache of "go test -fuzz". It keeps the inputs that reached new code for the next run.
fuzz_cache="$(go env GOCACHE)/fuzz"
readonly fuzz_cache

cd "${root}"
make_scratch
failed=()
found=0
binary=""
compiled=""
while IFS= read -r -d '' file; do
  package="$(dirname "${file}")"
  while read -r target; do
    found=$((found + 1))
    if [[ "${compiled}" != "${package}" ]]; then
      binary="${scratch}/fuzz-${found}.test"
      go test -c -ldflags=-w -fuzz "^${target}\$" -o "${binary}" "./${package}"
      compiled="${package}"
    fi
    say "== ${target} in ${package} for ${fuzz_time}"
    (
      cd "${package}"
      "${binary}" -test.run '^$' -test.fuzz "^${target}\$" -test.fuzztime "${fuzz_time}" \
        -test.fuzzcachedir "${fuzz_cache}/${module}/${package}"
    ) || failed+=("${target}")
  done < <(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*\*testing\.F\).*/\1/p' "${file}")
done < <(source_files 'pkg/*_test.go' 'cmd/*_test.go' 'test/*_test.go')

if ((found == 0)); then
  die "there is no fuzz target"
fi
if ((${#failed[@]} > 0)); then
  die "these fuzz targets failed: ${failed[*]}; the failing input is in the package's testdata/fuzz folder"
fi
say "${found} fuzz targets found nothing"
