#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes the programs of a node available and prints the folder that holds them. Only that folder goes to stdout.
# kubelet, kube-proxy and kube-scheduler are built from source at the version of hack/controlplane. containerd, runc,
# the CNI plugins, nft and a static shell are taken out of packages of the distribution (Debian or Ubuntu), which are
# not installed.
#
#   KUBEVISION_CACHE    the folder of the programs (default: the user's cache folder)
set -euo pipefail

# With CDPATH set, cd prints the destination.
unset CDPATH
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
# shellcheck source=hack/programs.sh
source "$here/../programs.sh"

# shellcheck disable=SC2034 # used by hack/programs.sh
readonly label="cluster"
# <binary>=<main package>; "packages" is the folder with the programs of the distribution.
readonly programs=(
  kubelet=k8s.io/kubernetes/cmd/kubelet
  kube-proxy=k8s.io/kubernetes/cmd/kube-proxy
  kube-scheduler=k8s.io/kubernetes/cmd/kube-scheduler
  packages=
)
# kube-proxy runs nft. The libraries of nft are unpacked into the same folder.
readonly packages=(containerd runc containernetworking-plugins nftables busybox-static libnftables1 libnftnl11 libmnl0
  libxtables12 libjansson4 libseccomp2 libedit2 libbsd0 libmd0)
readonly version_package=k8s.io/component-base/version
readonly link_flags="-s -w -X ${version_package}.gitVersion=%s -X ${version_package}.gitMajor=%s -X ${version_package}.gitMinor=%s"

cache_key() {
  {
    cat ../controlplane/go.mod ../controlplane/go.sum
    go env GOOS GOARCH
    printf '%s\n' "$CGO_ENABLED" "$link_flags" "${programs[@]}" "${packages[@]}"
  } | checksum | cut -c1-16
}

# unpack_packages downloads the packages and unpacks them into a folder.
unpack_packages() {
  local folder="$1" package
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    die "containerd comes from packages of Debian or Ubuntu, and this machine has no apt-get or no dpkg-deb"
  fi
  mkdir "$scratch/deb" "$scratch/packages"
  cd "$scratch/deb"
  if ! apt-get download "${packages[@]}" >"$scratch/apt.log" 2>&1; then
    # The package lists of a new machine may be empty or old.
    { apt-get update && apt-get download "${packages[@]}"; } >"$scratch/apt.log" 2>&1 ||
      die "apt-get could not download containerd and its companions: $(tail -n 3 "$scratch/apt.log")"
  fi
  for package in *.deb; do
    dpkg-deb --extract "$package" "$scratch/packages"
  done
  mv "$scratch/packages" "$folder/packages"
  cd "$here"
}

build_missing() {
  local folder="$1" version major minor flags entry name
  if [[ ! -x "$folder/packages" ]]; then
    say "unpacking containerd, runc, CNI plugins and nft"
    unpack_packages "$folder"
  fi
  cd "$here/../controlplane"
  version="$(go list -m -f '{{.Version}}' k8s.io/kubernetes)"
  IFS=. read -r major minor _ <<<"${version#v}"
  # shellcheck disable=SC2059 # the format is the constant above
  flags="$(printf -- "$link_flags" "$version" "$major" "$minor")"
  for entry in "${programs[@]}"; do
    name="${entry%%=*}"
    [[ -x "$folder/$name" ]] && continue
    printf 'cluster: building %s %s from source ... ' "$name" "$version" >&2
    build_one "$name" "${entry#*=}" "$flags" "$folder"
  done
  cd "$here"
}

main() {
  require_go
  cd "$here"
  build_into cluster "$(cache_key)"
}

main "$@"
