#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates test/grants/rights.txt, the rights of the ServiceAccounts in config/. A test compares both.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "${root}"
output="$(CGO_ENABLED=0 go test -vet=off -count 1 -run TestRightsOfServiceAccounts ./test/docs -update-rights)" ||
  die "${output}"
