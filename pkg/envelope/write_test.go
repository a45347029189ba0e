// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
)

// TestFailuresNameTheCluster verifies that the log line of a failed request contains the name of the cluster.
func TestFailuresNameTheCluster(t *testing.T) {
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
	state := NewState()
	state.SetCluster("staging")
	ctx := WithState(klog.NewContext(t.Context(), logger), state)
	WriteError(ctx, httptest.NewRecorder(), errors.New("no response"))
	sink, ok := logger.GetSink().(ktesting.Underlier)
	if !ok {
		t.Fatalf("the sink is a %T", logger.GetSink())
	}
	if log := sink.GetBuffer().String(); !strings.Contains(log, `Request failed cluster="staging"`) {
		t.Errorf("the log is %s", log)
	}
}
