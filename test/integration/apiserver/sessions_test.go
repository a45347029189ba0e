// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func sessionsOf(ctx context.Context, options ...client.ListOption) ([]kubevisionv1alpha1.KubeVisionSession, error) {
	var all kubevisionv1alpha1.KubeVisionSessionList
	err := env.Client.List(ctx, &all, options...)
	return all.Items, err
}

func of(u fixture.User) client.ListOption { return client.MatchingLabels{"kubevision.io/user": u.Name} }

func awaitFewSessions(t *testing.T, limit int, options ...client.ListOption) {
	t.Helper()
	fixture.Eventually(t, "see few sessions", func(ctx context.Context) error {
		found, err := sessionsOf(ctx, options...)
		if err != nil {
			return err
		}
		if len(found) > limit {
			return fmt.Errorf("there are %d, want %d at most", len(found), limit)
		}
		return nil
	})
}

// TestSessionsOfAUserAreFew verifies that a login beyond the limit of a user ends the least recently used session and
// emits an event, and does not affect other users.
func TestSessionsOfAUserAreFew(t *testing.T) {
	const most = 3
	c := at(t, replicaWith(t, fmt.Sprintf("--sessions-per-user=%d", most)).Endpoint())
	neighbour, u := newActor(t, ""), set().User(t, "busy")
	var logins []fixture.Login
	logins = append(logins, u.Login(t, c, wire.DirectPath))
	for range 2 * most {
		time.Sleep(1100 * time.Millisecond) // the index records the time of the last use in seconds
		logins[0] = renewed(t, c.Call(t, refresh(t, logins[0].RefreshToken)))
		time.Sleep(1100 * time.Millisecond)
		logins = append(logins, u.Login(t, c, wire.DirectPath))
		awaitFewSessions(t, most, of(u))
	}
	for _, i := range []int{0, len(logins) - 1} { // the session in use, and the newest session
		c.Call(t, whoami(logins[i].AccessToken)).Want(t, wire.OK)
	}
	dead(t, logins[1], c)
	c.Call(t, whoami(neighbour.AccessToken)).Want(t, wire.OK)
	fixture.Eventually(t, "see the event", func(ctx context.Context) error {
		stdout, stderr, err := kubectl(t, "", "get", "events.events.k8s.io", "-A",
			"--field-selector=reason=SessionDisplaced", "-o", "yaml")
		if err != nil || !strings.Contains(stdout, u.Name) {
			return fmt.Errorf("%w: %s%s", err, stdout, stderr)
		}
		return nil
	})
}

// TestLoginsAtOnceLeaveFewSessions verifies that the controller ends excess sessions that replicas have created
// concurrently.
func TestLoginsAtOnceLeaveFewSessions(t *testing.T) {
	const most = 20 // the default
	c, u := at(t, replicaWith(t, "--sessions-per-user=1000").Endpoint()), set().User(t, "hasty")
	for range most + 4 {
		u.Login(t, c, wire.DirectPath)
	}
	awaitFewSessions(t, most, of(u))
	if found, err := sessionsOf(t.Context(), of(u)); err != nil || len(found) != most {
		t.Errorf("%d sessions are left, want %d (%v)", len(found), most, err)
	}
}

// TestSessionsAreFew verifies that the flag --sessions limits the total number of sessions of all users. At this limit,
// a login ends another session.
func TestSessionsAreFew(t *testing.T) {
	u := set().User(t, "last")
	c := at(t, replicaWith(t, "--sessions=1").Endpoint())
	newActor(t, "")
	before, err := sessionsOf(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l := u.Login(t, c, wire.DirectPath)
		c.Call(t, whoami(l.AccessToken)).Want(t, wire.OK)
		awaitFewSessions(t, max(len(before), 1))
	}
}

// TestASessionIsSmall verifies that a KubeVisionSession has at most 4 KiB. In the test, the client sends a long
// User-Agent header, and refreshes the session many times.
func TestASessionIsSmall(t *testing.T) {
	const most = 4 << 10
	c, u := direct(t), set().User(t, "talkative")
	u.Login(t, c, wire.DirectPath)
	request := right(u)
	request.Header = http.Header{"User-Agent": {strings.Repeat("é", 10_000)}}
	l := renewed(t, c.Call(t, request))
	for range 20 {
		l = renewed(t, c.Call(t, refresh(t, l.RefreshToken)))
	}
	found, err := sessionsOf(t.Context(), of(u))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i].ManagedFields = nil
		if raw, err := json.Marshal(found[i]); err != nil || len(raw) > most {
			t.Errorf("a session has %d bytes (%v)", len(raw), err)
		}
	}
}
