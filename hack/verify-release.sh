#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if the Helm chart and config/ render different objects, if a test of the release's tool fails, or if two
# releases of the same source differ. The releases are for the machine's architecture only.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_tool hack/release . release
make_scratch
(cd "${root}/hack/release" && CGO_ENABLED=0 go test -trimpath -vet=off -count=1 ./...) >"${scratch}/output" || {
  cat "${scratch}/output"
  die "a test in hack/release fails; run \"make generate\" if only config/ was changed"
}

# release writes a release to a folder. The two calls use different environments.
release() {
  "${root}/bin/release" all -root "${root}" -output "${scratch}/$1" -version v0.0.0-verify -commit unknown \
    -date 2026-01-02T03:04:05Z -architectures "$(go env GOARCH)"
}
(umask 022 && TZ=UTC release first)
(umask 077 && TZ=Asia/Tokyo release second)
if ! diff -r "${scratch}/first" "${scratch}/second" >"${scratch}/differences"; then
  cat "${scratch}/differences"
  die "two releases of the same source differ"
fi
(cd "${scratch}/first" && sha256sum --quiet --check SHA256SUMS) || die "SHA256SUMS is wrong"
for path in "${scratch}"/first/*; do
  name="$(basename "${path}")"
  if [[ -f "${path}" && "${name}" != SHA256SUMS ]] && ! grep -q "  ${name}\$" "${scratch}/first/SHA256SUMS"; then
    die "SHA256SUMS lacks ${name}"
  fi
done
grep -q '"name": "sigs.k8s.io/controller-runtime"' "${scratch}/first/kubevision-v0.0.0-verify.spdx.json" ||
  die "the bill of materials lacks a module of the programs"
for name in install.yaml remove.yaml; do
  grep -q 'image: kubevision:v0.0.0-verify$' "${scratch}/first/${name}" ||
    die "${name} does not name the image of the release"
done
