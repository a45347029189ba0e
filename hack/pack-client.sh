#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds the TypeScript client and packs it into bin/, as it is published.
#
#   hack/pack-client.sh <version>

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# == 1 ]] || die "give the version, such as v1.2.3"

"${root}/hack/npm.sh" run build --silent
make_scratch
package="${scratch}/package"
mkdir "${package}"
cp -R "${root}/clients/typescript/"{dist,package.json,README.md} "${root}/LICENSE" "${package}"
cd "${package}"
npm pkg delete devDependencies scripts
npm version --no-git-tag-version --allow-same-version "${1#v}" >/dev/null
mkdir -p "${root}/bin"
npm pack --silent --pack-destination "${root}/bin"
