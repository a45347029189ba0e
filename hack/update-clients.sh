#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates the OpenAPI document from the routes of kubevision-apiserver, and the types of the TypeScript client from
# the document. Without npm the types are not changed.
#
#   hack/update-clients.sh [<folder>]
#
# <folder> is the output folder, by default clients/. hack/verify-clients.sh names another one.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly folder="${1:-${root}/clients}"
readonly document="${folder}/openapi.json"
readonly types="${folder}/typescript/src/schema.ts"

make_scratch
cd "${root}"
CGO_ENABLED=0 go run -trimpath ./hack/openapi >"${scratch}/openapi.json"
cp "${scratch}/openapi.json" "${document}"

if ! command -v npm >/dev/null; then
  say "npm is not installed: the types of the TypeScript client are not generated"
  exit 0
fi
# The server uses the default for a missing field, so a default does not make the field required.
hack/npm.sh exec --silent --offline -- \
  openapi-typescript "${document}" --output "${scratch}/schema.ts" \
  --empty-objects-unknown --default-non-nullable=false >&2
cat hack/boilerplate.go.txt "${scratch}/schema.ts" >"${types}"
