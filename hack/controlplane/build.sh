#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl once and
# prints the folder that holds them. Only that folder goes to stdout.
#
#   KUBEBUILDER_ASSETS  use the binaries of this folder and build nothing
#   KUBEVISION_CACHE    where built binaries are kept (default: the user's cache folder)
set -euo pipefail

# With CDPATH set, cd prints the destination.
unset CDPATH
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
# <binary>=<main package>
readonly programs=(
  etcd=go.etcd.io/etcd/server/v3
  kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver
  kube-controller-manager=k8s.io/kubernetes/cmd/kube-controller-manager
  kubectl=k8s.io/kubernetes/cmd/kubectl
)
readonly version_package=k8s.io/component-base/version
readonly link_flags="-s -w -X ${version_package}.gitVersion=%s -X ${version_package}.gitMajor=%s -X ${version_package}.gitMinor=%s"

# A workspace file or flags of the caller must not affect the build.
export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly

say() { printf 'control plane: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

use_prepared() {
  local dir="$1" name
  for name in etcd kube-apiserver kubectl; do
    [[ -x "$dir/$name" ]] || die "KUBEBUILDER_ASSETS=$dir has no program \"$name\"; add it, or unset KUBEBUILDER_ASSETS to build the control plane from source"
  done
  if [[ ! -x "$dir/kube-controller-manager" ]]; then
    say "KUBEBUILDER_ASSETS=$dir has no kube-controller-manager: Deployments will create no Pods, nothing will be garbage collected and namespaces will never finish deleting; unset KUBEBUILDER_ASSETS to build a complete control plane"
  fi
  (cd "$dir" && pwd)
}

checksum() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

cache_key() {
  { cat go.mod go.sum; go env GOOS GOARCH; printf '%s\n' "$CGO_ENABLED" "$link_flags" "${programs[@]}"; } | checksum | cut -c1-16
}

complete() {
  local entry
  for entry in "${programs[@]}"; do
    [[ -x "$1/${entry%%=*}" ]] || return 1
  done
}

lock_owner_gone() {
  local owner
  owner="$(cat "$1/pid" 2>/dev/null)" || owner=""
  if [[ -z "$owner" ]]; then
    # The owner writes its id directly after it has created the folder; after a minute it never will.
    [[ -n "$(find "$1" -maxdepth 0 -mmin +1 2>/dev/null)" ]]
    return
  fi
  ! kill -0 "$owner" 2>/dev/null
}

lock_folder() {
  local lock="$1" told=""
  until mkdir "$lock" 2>/dev/null; do
    if lock_owner_gone "$lock"; then
      # The rename comes first, so that only one of several waiting runs removes a stale lock.
      mv "$lock" "$lock.stale.$$" 2>/dev/null && rm -rf "$lock.stale.$$"
      continue
    fi
    [[ -n "$told" ]] || say "another run is building; waiting for it"
    told=yes
    sleep 1
  done
  held_lock="$lock"
  echo "$$" >"$lock/pid"
}

take_lock() {
  if command -v flock >/dev/null; then
    exec 9>"$1"
    flock -n 9 && return
    say "another run is building; waiting for it"
    flock 9
  else
    lock_folder "$1.d"
  fi
}

held_lock=""
scratch=""
compiler=""
clean_up() {
  if [[ -n "$compiler" ]]; then
    printf 'interrupted\n' >&2
    kill "$compiler" 2>/dev/null || true
    wait "$compiler" 2>/dev/null || true
  fi
  [[ -z "$scratch" ]] || rm -rf "$scratch"
  [[ -z "$held_lock" ]] || rm -rf "$held_lock"
}

explain_failure() {
  local name="$1" log="$2"
  printf 'failed\n' >&2
  say "go could not build $name; the end of its output:"
  tail -n 20 "$log" | sed 's/^/    /' >&2
  say "what to try: check that the Go module proxy is reachable (GOPROXY=$(go env GOPROXY)),"
  say "that $(go env GOCACHE) has about 5 GB of free space, and run this again: it goes on where it stopped."
  say "Ready-made binaries can be used too: put them in a folder and set KUBEBUILDER_ASSETS to it."
  exit 1
}

build_one() {
  local name="$1" package="$2" flags="$3" folder="$4" started="$SECONDS"
  # Runs in the background, so that a signal to this script stops the compiler at once.
  go build -trimpath -ldflags "$flags" -o "$scratch/$name" "$package" >"$scratch/$name.log" 2>&1 9>&- &
  compiler=$!
  wait "$compiler" || { compiler=""; explain_failure "$name" "$scratch/$name.log"; }
  compiler=""
  mv "$scratch/$name" "$folder/$name"
  printf '%ds\n' "$((SECONDS - started))" >&2
}

build_missing() {
  local folder="$1" version major minor flags entry name position=0
  version="$(go list -m -f '{{.Version}}' k8s.io/kubernetes)"
  IFS=. read -r major minor _ <<<"${version#v}"
  # shellcheck disable=SC2059 # the format is the constant above
  flags="$(printf -- "$link_flags" "$version" "$major" "$minor")"
  say "building Kubernetes $version and etcd from source; the first time takes about four minutes per binary"
  for entry in "${programs[@]}"; do
    name="${entry%%=*}"
    position=$((position + 1))
    [[ -x "$folder/$name" ]] && continue
    printf 'control plane: building %s (%d of %d) ... ' "$name" "$position" "${#programs[@]}" >&2
    build_one "$name" "${entry#*=}" "$flags" "$folder"
  done
}

main() {
  if [[ -n "${KUBEBUILDER_ASSETS:-}" ]]; then
    use_prepared "$KUBEBUILDER_ASSETS"
    return
  fi
  command -v go >/dev/null || die "the go command is not in PATH; install Go or set KUBEBUILDER_ASSETS to a folder with ready-made binaries"

  local root="${KUBEVISION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubevision}/controlplane" folder
  mkdir -p "$root"
  root="$(cd "$root" && pwd)"
  cd "$here"
  folder="$root/$(cache_key)"
  if ! complete "$folder"; then
    mkdir -p "$folder"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    take_lock "$folder.lock"
    # Inside the cache folder, since a rename is atomic only within one file system.
    scratch="$(mktemp -d -p "$root")"
    complete "$folder" || build_missing "$folder"
  fi
  printf '%s\n' "$folder"
}

main "$@"
