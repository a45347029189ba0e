#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl once and
# prints the folder that holds them. Only that folder goes to stdout.
#
#   KUBEBUILDER_ASSETS  use the binaries of this folder and build nothing
#   KUBEVISION_CACHE    the folder of built binaries (default: the user's cache folder)
set -euo pipefail

# With CDPATH set, cd prints the destination.
unset CDPATH
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
# shellcheck source=hack/programs.sh
source "$here/../programs.sh"

# shellcheck disable=SC2034 # used by hack/programs.sh
readonly label="control plane"
# <binary>=<main package>
readonly programs=(
  etcd=go.etcd.io/etcd/server/v3
  kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver
  kube-controller-manager=k8s.io/kubernetes/cmd/kube-controller-manager
  kubectl=k8s.io/kubernetes/cmd/kubectl
)
readonly version_package=k8s.io/component-base/version
readonly link_flags="-s -w -X ${version_package}.gitVersion=%s -X ${version_package}.gitMajor=%s -X ${version_package}.gitMinor=%s"
# shellcheck disable=SC2034 # used by hack/programs.sh
readonly advice="Ready-made binaries can be used too: put them in a folder and set KUBEBUILDER_ASSETS to it."
# shellcheck disable=SC2034 # used by hack/programs.sh
readonly without_go=" or set KUBEBUILDER_ASSETS to a folder with ready-made binaries"

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

cache_key() {
  { cat go.mod go.sum; go env GOOS GOARCH; printf '%s\n' "$CGO_ENABLED" "$link_flags" "${programs[@]}"; } | checksum | cut -c1-16
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
  require_go
  cd "$here"
  build_into controlplane "$(cache_key)"
}

main "$@"
