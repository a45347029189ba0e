#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates the deep-copy functions, the CustomResourceDefinitions and the OpenAPI definitions from the types in
# pkg/apis.
#
#   hack/update-codegen.sh [<root>]
#
# <root> is the tree in which the files are generated, by default the repository itself. hack/verify-codegen.sh names
# a copy.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly target="${1:-${root}}"
readonly header="${root}/hack/boilerplate.go.txt"
readonly accepted_violations="${root}/hack/api-violations.list"
readonly controller_gen="${root}/bin/controller-gen"
readonly openapi_gen="${root}/bin/openapi-gen"

readonly crd_folder="config/crd/bases"
readonly openapi_folder="pkg/apiserver/openapi"
# The custom resources, whose CustomResourceDefinitions the host's kube-apiserver serves.
readonly crd_packages="./pkg/apis/kubevision/..."
# The types that KubeVision's own API server serves, and the types of Kubernetes to which they and the discovery
# documents refer.
readonly served_packages=("${module}/pkg/apis/dashboard/v1alpha1")
readonly kubernetes_packages=(
  k8s.io/apimachinery/pkg/api/resource
  k8s.io/apimachinery/pkg/apis/meta/v1
  k8s.io/apimachinery/pkg/runtime
  k8s.io/apimachinery/pkg/version
)

generate_deepcopy() {
  find pkg/apis -name zz_generated.deepcopy.go -delete
  "${controller_gen}" object:headerFile="${header}" paths=./pkg/apis/...
}

generate_crds() {
  mkdir -p "${crd_folder}"
  rm -f "${crd_folder}"/kubevision.io_*.yaml
  "${controller_gen}" crd paths="${crd_packages}" output:crd:dir="${crd_folder}"
}

generate_openapi() {
  local report="${scratch}/violations" package readonly_packages=()
  for package in "${kubernetes_packages[@]}"; do
    readonly_packages+=(--readonly-pkg "${package}")
  done

  find pkg/apis -name zz_generated.model_name.go -delete
  mkdir -p "${openapi_folder}"
  rm -f "${openapi_folder}/zz_generated.openapi.go"
  # A type's name in the document comes from its package's "+k8s:openapi-model-package" tag.
  "${openapi_gen}" \
    --go-header-file "${header}" \
    --output-dir "${openapi_folder}" \
    --output-pkg "${module}/${openapi_folder}" \
    --output-file zz_generated.openapi.go \
    --output-model-name-file zz_generated.model_name.go \
    --report-filename "${report}" \
    "${readonly_packages[@]}" \
    "${kubernetes_packages[@]}" "${served_packages[@]}"

  # Kubernetes' own types violate some of the API rules. The project may violate only those in the list, each of which
  # is a name on which clients already depend.
  if ! diff -u "${accepted_violations}" <(grep -F "${module}/" "${report}" | sort) >&2; then
    die "the API rule violations are not those of hack/api-violations.list (see the differences above): names_match wants the" \
      "JSON name to be the Go name in lower camel case, list_type_missing wants a +listType marker on every list;" \
      "correct the types, or the list when a violation is meant"
  fi
}

build_tool hack/tools sigs.k8s.io/controller-tools/cmd/controller-gen controller-gen
build_tool hack/tools k8s.io/kube-openapi/cmd/openapi-gen openapi-gen
make_scratch
cd "${target}"
generate_deepcopy
generate_crds
generate_openapi
