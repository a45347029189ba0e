#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Functions that build programs from source once, into a folder of the cache. The scripts that source this file set
# "label", the prefix of their messages, and "programs", an array of <binary>=<main package>.

# shellcheck disable=SC2154 # set by the scripts that source this file

# With CDPATH set, cd prints the destination.
unset CDPATH
# A workspace file or flags of the caller must not affect the build.
export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly

say() { printf '%s: %s\n' "$label" "$*" >&2; }
die() { say "$*"; exit 1; }

checksum() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
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
    # The owner writes its id directly after creating the folder. A folder without an id after a minute is stale.
    [[ -n "$(find "$1" -maxdepth 0 -mmin +1 2>/dev/null)" ]]
    return
  fi
  ! kill -0 "$owner" 2>/dev/null
}

lock_folder() {
  local lock="$1" told=""
  until mkdir "$lock" 2>/dev/null; do
    if lock_owner_gone "$lock"; then
      # Without the rename, one of several waiting runs could remove the new lock of another run.
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
  [[ -z "${advice:-}" ]] || say "$advice"
  exit 1
}

build_one() {
  local name="$1" package="$2" flags="$3" folder="$4" started="$SECONDS"
  # The compiler runs in the background. A signal to this script can then stop it at once.
  go build -trimpath -ldflags "$flags" -o "$scratch/$name" "$package" >"$scratch/$name.log" 2>&1 9>&- &
  compiler=$!
  wait "$compiler" || { compiler=""; explain_failure "$name" "$scratch/$name.log"; }
  compiler=""
  mv "$scratch/$name" "$folder/$name"
  printf '%ds\n' "$((SECONDS - started))" >&2
}

require_go() {
  command -v go >/dev/null || die "the go command is not in PATH; install Go${without_go:-}"
}

# build_into builds the missing programs into the folder <name>/<key> of the cache, and prints the folder. It calls the
# function build_missing with the folder. build_missing must call build_one for each missing program.
build_into() {
  local name="$1" key="$2" root folder
  root="${KUBEVISION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubevision}/$name"
  mkdir -p "$root"
  root="$(cd "$root" && pwd)"
  folder="$root/$key"
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
