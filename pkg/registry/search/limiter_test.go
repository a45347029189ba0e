// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"errors"
	"testing"
)

// TestTurnsOfOneUser verifies that one user gets half of the places, and that another user does not wait for them.
func TestTurnsOfOneUser(t *testing.T) {
	turns := newTurns(4)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var all []func()
	for _, user := range []string{"greedy", "greedy", "modest", "modest"} {
		leave, err := turns.enter(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leave)
		if len(all) == 2 {
			if _, err := turns.enter(ended, "greedy"); !errors.Is(err, context.Canceled) {
				t.Errorf("a third one of a user: %v", err)
			}
		}
	}
	if _, err := turns.enter(ended, "other"); !errors.Is(err, context.Canceled) {
		t.Errorf("more than there may be: %v", err)
	}
	for _, leave := range all {
		leave()
	}
	if len(turns.users) != 0 || len(turns.all) != 0 {
		t.Errorf("left behind: %v, %d", turns.users, len(turns.all))
	}
}
