#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Functions and variables for the scripts of this folder, which source this file.

set -o errexit -o nounset -o pipefail
unset CDPATH

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly root
# shellcheck disable=SC2034 # used by the scripts that source this one
readonly module="github.com/kubevision-io/kubevision"

# A developer's workspace file or vendor folder must not affect the scripts.
export GOWORK=off
# The messages and the order of files are the same on all machines.
export LC_ALL=C

# say prints to stderr, since stdout contains the results.
say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "error: $*"
  exit 1
}

# make_scratch sets "scratch" to a new folder that is removed when the script exits.
make_scratch() {
  scratch="$(mktemp -d)"
  # shellcheck disable=SC2064 # the folder's name is meant to be expanded now
  trap "rm -rf '${scratch}'" EXIT
}

# build_tool builds a program of a tool module into bin/. If nothing has changed, go does not even link the program.
#
#   build_tool <folder of the tool module> <package> <name>
build_tool() {
  local folder="$1" package="$2" name="$3"
  (
    cd "${root}/${folder}"
    CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -buildvcs=false -o "${root}/bin/${name}" "${package}"
  ) || die "cannot build ${name} from ${folder}; is the Go module proxy reachable?"
}

# source_files prints the committed and the new files of the repository, NUL-separated, relative to its root. Patterns
# of "git ls-files" select a part of them.
source_files() {
  git -C "${root}" ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
    while IFS= read -r -d '' file; do
      # A deleted file stays in the index until the deletion is staged.
      if [[ -f "${root}/${file}" ]]; then
        printf '%s\0' "${file}"
      fi
    done
}
