#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if the OpenAPI document or the types of the TypeScript client differ from the output of
# hack/update-clients.sh, if the client does not compile, or if its unit tests fail. Without npm only the document is
# compared.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly shown_lines=60

make_scratch
generated="${scratch}/clients"
mkdir -p "${generated}/typescript/src"
cp "${root}/clients/typescript/src/schema.ts" "${generated}/typescript/src/schema.ts"
"${root}/hack/update-clients.sh" "${generated}"

for file in openapi.json typescript/src/schema.ts; do
  if ! diff -u "${root}/clients/${file}" "${generated}/${file}" >"${scratch}/differences"; then
    head -n "${shown_lines}" "${scratch}/differences"
    die "clients/${file} is out of date (see the differences above);" \
      "run hack/update-clients.sh and commit what it changes"
  fi
done

if command -v npm >/dev/null; then
  "${root}/hack/npm.sh" test --silent >"${scratch}/output" || {
    cat "${scratch}/output"
    die "the TypeScript client does not compile, or its tests fail"
  }
fi
