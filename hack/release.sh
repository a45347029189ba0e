#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs a command of the release's tool: all, chart, manifests, rootfs or template.
#
#   hack/release.sh <command> [<flag>...]

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -ge 1 ]] || die "name a command: all, chart, manifests, rootfs or template"
command="$1"
shift
build_tool hack/release . release
cd "${root}"
exec bin/release "${command}" -root "${root}" "$@"
