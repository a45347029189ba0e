// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"net/http"
	"testing"
)

// TestStatusClass verifies that statusClass returns one of a few metric label values, whatever HTTP status a cluster
// sends.
func TestStatusClass(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusContinue: "1xx", http.StatusOK: "2xx", http.StatusBadGateway: "5xx", 599: "5xx",
		0: statusError, 99: statusError, 600: statusError, 999: statusError,
	} {
		if got := statusClass(&http.Response{StatusCode: status}, nil); got != want {
			t.Errorf("status %d has the label %s, want %s", status, got, want)
		}
	}
	if got := statusClass(nil, errors.New("no response")); got != statusError {
		t.Errorf("a call without a response has the label %s", got)
	}
}
