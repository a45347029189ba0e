// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// TestRequestLogIsBounded verifies that a long user name is truncated in the log line.
func TestRequestLogIsBounded(t *testing.T) {
	const mostBytes = 1 << 10
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true), ktesting.Verbosity(requestLogLevel)))
	underlier, ok := logger.GetSink().(ktesting.Underlier)
	if !ok {
		t.Fatal("the logger has no buffer")
	}
	state := envelope.NewState()
	state.SetUser(strings.Repeat("u", 1<<20))
	observe(klog.NewContext(t.Context(), logger), strings.Repeat("METHOD", 1<<10), state, time.Second)
	lines := underlier.GetBuffer().String()
	if !strings.Contains(lines, "Served request") || len(lines) > mostBytes {
		t.Errorf("the line has %d bytes: %.300s", len(lines), lines)
	}
}
