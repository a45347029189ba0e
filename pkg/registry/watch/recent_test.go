// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// TestRecent verifies how the server records which resources a login session has listed:
//   - The record of a resource is valid for ten minutes.
//   - The number of recorded resources and the number of sessions are bounded.
//   - The record of a session is not used for other sessions of the same user.
func TestRecent(t *testing.T) {
	r := NewRecent()
	mine := &authentication.Principal{DefaultInfo: user.DefaultInfo{Name: "u"}, Session: "one"}
	other := &authentication.Principal{DefaultInfo: user.DefaultInfo{Name: "u"}, Session: "two"}
	r.Note(mine, "c", "pods", objectref.Target{Namespace: "n"})
	pods := topicName{"c", "pods", "n"}
	if !r.hasListed(sessionOf(mine), pods) || r.hasListed(sessionOf(other), pods) ||
		r.hasListed(sessionOf(mine), topicName{"c", "pods", ""}) {
		t.Error("another topic or another session is known")
	}
	topics, _ := r.get(sessionOf(mine))
	topics[pods] = time.Now().Add(-recentTime - time.Second)
	if r.hasListed(sessionOf(mine), pods) {
		t.Error("it is known for too long")
	}
	for i := range 3 * maxListed {
		r.Note(mine, "c", fmt.Sprint("kind", i), objectref.Target{})
	}
	if len(topics) > maxListed {
		t.Errorf("%d topics", len(topics))
	}
	if !r.hasListed(sessionOf(mine), topicName{"c", fmt.Sprint("kind", 3*maxListed-1), ""}) {
		t.Error("the last one is forgotten")
	}
	for i := range maxSessions + 1 {
		r.Note(&user.DefaultInfo{Name: fmt.Sprint("u", i)}, "c", "pods", objectref.Target{})
	}
	if n := r.sessions.Len(); n > maxSessions {
		t.Errorf("%d sessions", n)
	}
}
