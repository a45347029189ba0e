#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the S3 server of the tests once and prints the folder that holds it.
# Only that folder goes to stdout.
#
#   KUBEVISION_CACHE    the folder of built binaries (default: the user's cache folder)
set -euo pipefail

# With CDPATH set, cd prints the destination.
unset CDPATH
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
# shellcheck source=hack/programs.sh
source "$here/../programs.sh"

# shellcheck disable=SC2034 # used by hack/programs.sh
readonly label="object store"
# <binary>=<main package>
readonly programs=(versitygw=github.com/versity/versitygw/cmd/versitygw)
readonly link_flags="-s -w"

cache_key() {
  {
    cat go.mod go.sum
    go env GOOS GOARCH
    printf '%s\n' "$CGO_ENABLED" "$link_flags" "${programs[@]}"
  } | checksum | cut -c1-16
}

build_missing() {
  local folder="$1" entry
  for entry in "${programs[@]}"; do
    printf 'object store: building %s from source ... ' "${entry%%=*}" >&2
    build_one "${entry%%=*}" "${entry#*=}" "$link_flags" "$folder"
  done
}

main() {
  require_go
  cd "$here"
  build_into objectstore "$(cache_key)"
}

main "$@"
