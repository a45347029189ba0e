// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"io"
	"net/http"
	"testing"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestDeadMember verifies the handling of requests while one registered cluster does not respond:
//   - Requests to other clusters succeed.
//   - After a few failures, KubeVision sends at most one request at a time to the cluster, and rejects the rest.
//   - Requests to the cluster succeed again after the cluster has recovered.
func TestDeadMember(t *testing.T) {
	const path = "/namespaces/default/resources/pods"
	const hanging, later = 4, 10
	dead, good := newStandin(t), newStandin(t)
	dead.Config.SetKeepAlivesEnabled(false) // otherwise, aborted requests would be sent again
	p, c := onStandin(t, dead)
	fine := register(t, good.config(registeredToken), nil)
	set().Bind(t, "fine", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: fine.Name,
		Unconnected: true,
	})
	p.becomes(t, fixture.Patience, fine.Name, path, wire.OK)
	others := func(when string) {
		t.Helper()
		for range 10 {
			if code := p.code(t, fine.Name, path); code != wire.OK {
				t.Errorf("%s: code %d of another cluster", when, code)
			}
		}
	}

	arrived, cut := make(chan struct{}, hanging+later), make(chan struct{})
	dead.answer(podsPath, holding(arrived, cut))
	outcomes := make(chan outcome, hanging+later)
	ask := func() {
		go func() { outcomes <- <-p.inBackground(t, c.Name, path) }()
	}
	for range hanging {
		ask()
		receive(t, fixture.Patience, "wait for a request", arrived)
	}
	others("while requests hang")
	for range 2 {
		cut <- struct{}{}
		if got := receive(t, fixture.Patience, "wait for a request that was cut",
			outcomes); got.code != wire.Unreachable {
			t.Errorf("code %d for an aborted request (%v)", got.code, got.err)
		}
	}
	for range later {
		ask()
	}
	for range later - 1 {
		if got := receive(t, answerTime*2, "wait for an answer while the cluster is dead",
			outcomes); got.code != wire.Unreachable {
			t.Errorf("code %d while the cluster is dead (%v)", got.code, got.err)
		}
	}
	if n := len(arrived); n > 1 {
		t.Errorf("%d requests were sent to a dead cluster, want at most one", n)
	}
	others("while the cluster is dead")

	close(cut)
	for range hanging - 2 + 1 {
		receive(t, fixture.Patience, "wait for the end of the others", outcomes)
	}
	dead.answer(podsPath, nil)
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
}

// TestNoToken verifies that a user's request fails with the code 50200 while the registered cluster responds with 404
// to KubeVision's token requests.
func TestNoToken(t *testing.T) {
	s := newStandin(t)
	s.answer(tokenPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"canary"}`)
	})
	c := register(t, s.config(registeredToken), nil)
	p := login(t, "tokenless")
	set().Bind(t, "tokenless", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Unconnected: true,
	})
	p.becomes(t, fixture.Patience, c.Name, "", wire.OK)
	begun := time.Now()
	for range 5 {
		if code := p.code(t, c.Name, "/namespaces/default/resources/pods"); code != wire.Unreachable {
			t.Errorf("code %d, want %d", code, wire.Unreachable)
		}
	}
	if took := time.Since(begun); took > 5*answerTime {
		t.Errorf("the answers took %s", took)
	}
	if n := len(s.of(podsPath)); n != 0 {
		t.Errorf("%d requests were sent without a token", n)
	}
}
