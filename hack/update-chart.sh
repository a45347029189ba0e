#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates templates of the Helm chart from the objects of config/default. It omits the objects whose templates are
# handwritten, because they depend on values.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_tool hack/release . release
"${root}/bin/release" chart -root "${root}"
