#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs npm in clients/typescript. It first installs the packages in package-lock.json if they are not installed.
# Installation scripts of packages do not run.
#
#   hack/npm.sh test

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "${root}/clients/typescript"
readonly installed="node_modules/.package-lock.json"
if [[ ! "${installed}" -nt package-lock.json ]]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
    die "cannot install the packages of clients/typescript; is the npm registry reachable?"
  touch "${installed}"
fi
exec npm "$@"
