// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"
)

func TestElection(t *testing.T) {
	for name, tc := range map[string]struct {
		e    election
		want string
	}{
		"the defaults":   {election{true, defaultLeaseDuration, defaultRenewDeadline, defaultRetryPeriod}, ""},
		"the Deployment": {election{true, 4 * time.Second, 3 * time.Second, 400 * time.Millisecond}, ""},
		"a short lease": {election{true, 3 * time.Second, 3 * time.Second, time.Second},
			"lease-duration must be longer"},
		"few attempts": {election{true, 4 * time.Second, time.Second, time.Second},
			"renew-deadline must be longer"},
		"no pause":          {election{true, 4 * time.Second, time.Second, 0}, "renew-deadline must be longer"},
		"parts of a second": {election{true, 4500 * time.Millisecond, time.Second, time.Second / 2}, "whole seconds"},
	} {
		err := tc.e.validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
