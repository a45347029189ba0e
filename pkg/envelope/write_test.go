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

// TestErrorsNameTheCluster verifies that the log line of an error contains the name of the cluster, if there is one.
func TestErrorsNameTheCluster(t *testing.T) {
	for _, tc := range []struct {
		cluster string
		err     error
		want    string
	}{
		{"staging", errors.New("no response"), `Request failed cluster="staging" code=50000`},
		{"staging", Required("name"), `Request refused cluster="staging" code=40001`},
		{"", errors.New("no response"), `Request failed code=50000`},
	} {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true), ktesting.Verbosity(3)))
		state := NewState()
		state.SetCluster(tc.cluster)
		WriteError(WithState(klog.NewContext(t.Context(), logger), state), httptest.NewRecorder(), tc.err)
		sink, ok := logger.GetSink().(ktesting.Underlier)
		if !ok {
			t.Fatalf("the sink is a %T", logger.GetSink())
		}
		if log := sink.GetBuffer().String(); !strings.Contains(log, tc.want) {
			t.Errorf("the log is %s, want %s", log, tc.want)
		}
	}
}
