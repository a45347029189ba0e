// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestUserGrant verifies that UserGrant returns a valid name of a KubeVisionRoleBinding for each user, and different
// names for different users.
func TestUserGrant(t *testing.T) {
	seen := map[string]string{}
	for _, user := range []string{
		"a", "alice", "first.last", strings.Repeat("x", 58), strings.Repeat("x", 59), strings.Repeat("x", 63),
		strings.Repeat("x", 62) + "y",
		strings.Repeat("x", 48) + "." + strings.Repeat("y", 14),
	} {
		name := names.UserGrant(user)
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 || len(name) > 63 {
			t.Errorf("%s of %s: %v, %d characters", name, user, problems, len(name))
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s have the same", user, other)
		}
		seen[name] = user
	}
	if name := names.UserGrant("alice"); name != "user-alice" {
		t.Errorf("the name is %s", name)
	}
}
