#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Shared by the scripts of this folder, which source it.

set -o errexit -o nounset -o pipefail
unset CDPATH

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly root
# shellcheck disable=SC2034 # used by the scripts that source this one
readonly module="github.com/kubevision-io/kubevision"

# A workspace file or a vendor folder of the developer's own must not change what the scripts see.
export GOWORK=off
# The same messages and the same order of files everywhere.
export LC_ALL=C

# say prints to stderr: stdout belongs to the results.
say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "error: $*"
  exit 1
}

# make_scratch sets "scratch" to a new folder that is removed when the script ends.
make_scratch() {
  scratch="$(mktemp -d)"
  # shellcheck disable=SC2064 # the folder's name is meant to be expanded now
  trap "rm -rf '${scratch}'" EXIT
}

# build_tool builds a program of a tool module into bin/. When nothing has changed, go does not even link it again.
#
#   build_tool <folder of the tool module> <package> <name>
build_tool() {
  local folder="$1" package="$2" name="$3"
  (
    cd "${root}/${folder}"
    CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -buildvcs=false -o "${root}/bin/${name}" "${package}"
  ) || die "cannot build ${name} from ${folder}; is the Go module proxy reachable?"
}

# source_files prints the committed and the new files of the repository, NUL-separated, relative to its root; "git ls-files"
# patterns narrow them down.
source_files() {
  git -C "${root}" ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
    while IFS= read -r -d '' file; do
      # A deleted file stays in the index until the deletion is staged.
      if [[ -f "${root}/${file}" ]]; then
        printf '%s\0' "${file}"
      fi
    done
}
