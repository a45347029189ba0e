#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if Prometheus cannot read the rules or the queries of the dashboard in config/monitoring, if a unit test of the
# rules fails, or if an alert has no test.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_tool hack/tools/promrules . promrules

cd "${root}/config/monitoring"
"${root}/bin/promrules" prometheus_rule.yaml prometheus_rule_test.yaml grafana_dashboard.json
