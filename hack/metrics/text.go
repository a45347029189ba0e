// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import _ "embed" // for introduction.md

// introduction is the beginning of docs/metrics.md.
//
//go:embed introduction.md
var introduction string

const librariesIntroduction = `## Metrics of the libraries

The libraries of Kubernetes, controller-runtime and Prometheus add further metrics. The rules and the dashboard use
these:
`

// libraries returns the metrics of libraries that config/monitoring uses.
func libraries() []described {
	return []described{
		{"up", "gauge", "`job`, `instance`", "of Prometheus", "1 if the last scrape of a target has succeeded."},
		{
			"controller_runtime_reconcile_errors_total", "counter", "`controller`", "of controller-runtime",
			"Number of reconciliations that have failed.",
		},
		{
			"controller_runtime_reconcile_total", "counter", "`controller`, `result`", "of controller-runtime",
			"Number of reconciliations.",
		},
		{
			"workqueue_depth", "gauge", "`name`", "of controller-runtime",
			"Number of objects that wait for a reconciliation.",
		},
		{
			"process_resident_memory_bytes", "gauge", "", "of client_golang",
			"Physical memory of the program.",
		},
		{
			"process_cpu_seconds_total", "counter", "", "of client_golang",
			"Time that the program has spent on processors.",
		},
		{"go_goroutines", "gauge", "", "of client_golang", "Number of goroutines."},
	}
}
