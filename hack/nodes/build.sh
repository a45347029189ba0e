#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the programs of simulated nodes once and prints the folder that holds
# them. Only that folder goes to stdout. Arguments are the names of the
# programs that are needed; without arguments, all are built.
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
readonly label="nodes"
# <binary>=<main package>; kube-scheduler is built in the module hack/controlplane.
readonly known=(
  kubelet=./kubelet
  kwok=sigs.k8s.io/kwok/cmd/kwok
  kube-scheduler=k8s.io/kubernetes/cmd/kube-scheduler
)
readonly link_flags="-s -w"

# choose sets "programs" to the programs with the given names.
choose() {
  local name entry found
  programs=()
  for name in "$@"; do
    found=""
    for entry in "${known[@]}"; do
      [[ "${entry%%=*}" == "$name" ]] && programs+=("$entry") && found=yes
    done
    [[ -n "$found" ]] || die "there is no program \"$name\""
  done
}

cache_key() {
  {
    cat go.mod go.sum kubelet/*.go ../controlplane/go.mod ../controlplane/go.sum
    go env GOOS GOARCH
    printf '%s\n' "$CGO_ENABLED" "$link_flags" "${known[@]}"
  } | checksum | cut -c1-16
}

# copy_stages prints KWOK's own description of nodes and Pods that are ready at once.
copy_stages() {
  local source file
  go mod download sigs.k8s.io/kwok # "go list" names no folder before
  source="$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage"
  for file in node/fast/node-initialize node/heartbeat/node-heartbeat pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    printf -- '---\n'
    cat "$source/$file.yaml"
  done
}

build_missing() {
  local folder="$1" entry name
  for entry in "${programs[@]}"; do
    name="${entry%%=*}"
    [[ -x "$folder/$name" ]] && continue
    printf 'nodes: building %s from source ... ' "$name" >&2
    case "$name" in
      kwok) copy_stages >"$folder/stages.yaml" ;;
      kube-scheduler) cd "$here/../controlplane" ;;
    esac
    build_one "$name" "${entry#*=}" "$link_flags" "$folder"
    cd "$here"
  done
}

main() {
  require_go
  cd "$here"
  if (($# > 0)); then
    choose "$@"
  else
    programs=("${known[@]}")
  fi
  build_into nodes "$(cache_key)"
}

main "$@"
