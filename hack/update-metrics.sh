#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates docs/metrics.md from the metrics that the programs register.
#
#   hack/update-metrics.sh [<file>]
#
# <file> is the output, by default docs/metrics.md. hack/verify-metrics.sh names another one.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly page="${1:-${root}/docs/metrics.md}"

make_scratch
cd "${root}"
CGO_ENABLED=0 go run -trimpath ./hack/metrics >"${scratch}/metrics.md"
cp "${scratch}/metrics.md" "${page}"
