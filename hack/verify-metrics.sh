#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if docs/metrics.md differs from the output of hack/update-metrics.sh.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_scratch
"${root}/hack/update-metrics.sh" "${scratch}/metrics.md"
if ! diff -u "${root}/docs/metrics.md" "${scratch}/metrics.md" >&2; then
  die "docs/metrics.md is out of date (see the differences above); run hack/update-metrics.sh and commit what it changes"
fi
