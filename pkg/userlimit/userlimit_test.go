// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package userlimit

import (
	"context"
	"errors"
	"testing"
)

// TestTasksOfOneUser verifies the limit of concurrent tasks for each user. When one user has reached this limit,
// another user can still start tasks.
func TestTasksOfOneUser(t *testing.T) {
	limits := New(4, 2)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var all []func()
	for _, user := range []string{"greedy", "greedy", "modest", "modest"} {
		leave, err := limits.Enter(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leave)
		if len(all) == 2 {
			if _, err := limits.Enter(ended, "greedy"); !errors.Is(err, context.Canceled) {
				t.Errorf("a third one of a user: %v", err)
			}
		}
	}
	if _, err := limits.Enter(ended, "other"); !errors.Is(err, context.Canceled) {
		t.Errorf("more than there may be: %v", err)
	}
	for _, leave := range all {
		leave()
	}
	if len(limits.users) != 0 || len(limits.all) != 0 {
		t.Errorf("left behind: %v, %d", limits.users, len(limits.all))
	}
}
