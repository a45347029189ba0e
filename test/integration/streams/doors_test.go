// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func sessionOf(tb testing.TB, p person) string {
	tb.Helper()
	return fixture.Take(tb, p.AccessToken).Session()
}

// door is one of two ways to reach the server: directly, or through kube-apiserver.
type door struct {
	client *wire.Client
	base   string
}

func doors(tb testing.TB) map[string]door {
	tb.Helper()
	front, err := wire.ForConfig(env.Cluster.Config())
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]door{
		"direct": {at(tb, env.KubeVision.Endpoint()), wire.DirectPath},
		"front":  {front, wire.GroupPath},
	}
}

// TestBothDoors verifies streams on direct connections to kubevision-apiserver and through kube-apiserver:
//   - A client can open a stream with an access token.
//   - A client can open a stream with a ticket in the URL instead of an access token.
//   - A stream remains open for longer than a minute, although kube-apiserver and kubevision-apiserver end other
//     requests after a minute.
func TestBothDoors(t *testing.T) {
	ns := set().Namespace(t, "doors")
	p := bound(t, "readonly", ns)
	var all []*socket
	var events []serverSent
	for name, d := range doors(t) {
		t.Log(name)
		all = append(all,
			open(t, d.client, wire.Request{Path: d.base + watchPath, Token: p.AccessToken}),
			open(t, d.client, wire.Request{Path: d.base + watchPath + "?ticket=" + p.ticket(t, "")}))
		events = append(events, openEvents(t, d, p, "topics="+host+":configmaps:"+ns))
	}
	for _, s := range all {
		s.isAlive(t)
	}
	opened := time.Now()
	t.Parallel() // continues after the sequential tests
	time.Sleep(time.Until(opened.Add(65 * time.Second)))
	for _, s := range all {
		s.isAlive(t)
	}
	configMap(t, ns, "late", "1")
	for i, s := range events {
		t.Log("events", i)
		for s.change(t).Name != "late" {
			continue
		}
	}
}

// TestNoUpgrade verifies that a request for a stream fails if it does not upgrade to WebSocket or has no credential.
// The client gets a JSON response with an error code.
func TestNoUpgrade(t *testing.T) {
	p := newPerson(t, "plain")
	for name, d := range doors(t) {
		t.Run(name, func(t *testing.T) {
			d.client.Call(t, wire.Request{Path: d.base + watchPath, Token: p.AccessToken}).Want(t, wire.Invalid)
		})
	}
	refused(t, p.client, wire.Request{Path: p.base + watchPath}).Want(t, wire.Unauthenticated)
	refused(t, p.client, wire.Request{Path: p.base + "/users/me", Bearer: p.AccessToken}).Want(t, wire.OK)
	old := http.Header{"Sec-Websocket-Version": {"8"}}
	p.client.Call(t, wire.Request{Path: p.base + watchPath, Bearer: p.AccessToken, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": old["Sec-Websocket-Version"],
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}).Want(t, wire.Invalid)
}

// TestStreamEndsWithItsSession verifies that a stream ends soon after its session ends. A stream also ends soon after
// its user is disabled, deleted or moved to other groups. The client gets the reason.
func TestStreamEndsWithItsSession(t *testing.T) {
	for name, end := range map[string]func(*testing.T, person){
		"session deleted": func(t *testing.T, p person) {
			t.Helper()
			s := &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: sessionOf(t, p)}}
			set().Delete(t, s)
		},
		"logged out": func(t *testing.T, p person) {
			t.Helper()
			p.client.Call(t, wire.Request{Method: "POST", Path: p.base + "/auth/logout", Bearer: p.AccessToken}).Want(t,
				wire.OK)
		},
		"user disabled": func(t *testing.T, p person) {
			t.Helper()
			p.change(t, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
		},
		"user deleted": func(t *testing.T, p person) {
			t.Helper()
			set().Delete(t, p.Object.DeepCopy())
		},
		"groups changed": func(t *testing.T, p person) {
			t.Helper()
			p.change(t, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{"others"} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, "ends")
			s := open(t, p.client, wire.Request{Path: p.base + watchPath, Bearer: p.AccessToken})
			ticketed := open(t, p.client, withTicket(p, p.ticket(t, "")))
			s.isAlive(t)
			ticketed.isAlive(t)
			end(t, p)
			want := "session-ended"
			if name == "groups changed" {
				want = "forbidden"
			}
			for _, s := range []*socket{s, ticketed} {
				if status, reason := s.awaitEnd(t, promptly); status != websocket.ClosePolicyViolation ||
					reason != want {
					t.Errorf("it ends with %d %s", status, reason)
				}
			}
		})
	}
}

func (p person) change(tb testing.TB, change func(*kubevisionv1alpha1.KubeVisionUser)) {
	tb.Helper()
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { // a controller records the login
		u := &kubevisionv1alpha1.KubeVisionUser{}
		if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(p.Object), u); err != nil {
			return err
		}
		change(u)
		return env.Client.Update(tb.Context(), u)
	}); err != nil {
		tb.Fatal(err)
	}
}

// TestShutdown verifies that a server that shuts down tells its clients to connect again.
func TestShutdown(t *testing.T) {
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	p := newPerson(t, "shutdown")
	s := open(t, at(t, replica.Endpoint()), wire.Request{Path: p.base + watchPath, Bearer: p.AccessToken})
	s.isAlive(t)
	stopped := make(chan error)
	go func() { stopped <- replica.Stop() }()
	if status, reason := s.awaitEnd(t, 2*promptly); status != websocket.CloseServiceRestart || reason != "shutdown" {
		t.Errorf("it ends with %d %s", status, reason)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestLimits verifies the limits of the concurrent streams of one user and of all users:
//   - The server refuses a stream beyond a limit.
//   - After a stream is closed, another stream can be opened.
//   - A log that a client follows over HTTP counts as a stream.
//
// The test also verifies that the response with this log ends with an error when the server shuts down.
func TestLimits(t *testing.T) {
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--streams-per-user=3", "--streams=5")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	greedy, namespace := inNamespace(t, "readonly")
	runs(t, namespace, "web", nil, "main")
	writeLog(t, namespace, "web", "main", "1")
	c, modest := at(t, replica.Endpoint()), newPerson(t, "modest")
	r := func(p person) wire.Request { return wire.Request{Path: p.base + watchPath, Bearer: p.AccessToken} }
	first := open(t, c, r(greedy))
	open(t, c, r(greedy))
	log := greedy.get(overHTTP(namespace, "/pods/web?container=main&follow=true"))
	text := bufio.NewReader(c.Open(t, log).Body) //nolint:bodyclose // Open closes it at the end of the test
	if line, err := text.ReadString('\n'); err != nil || line != "1\n" {
		t.Fatalf("the log is %q (%v)", line, err)
	}
	refused(t, c, r(greedy)).Want(t, wire.TooManyRequests)
	c.Call(t, log).Want(t, wire.TooManyRequests)
	open(t, c, r(modest)).isAlive(t)
	open(t, c, r(modest)).isAlive(t)
	refused(t, c, r(modest)).Want(t, wire.TooManyRequests)
	_ = first.Close() // without a close message
	fixture.Eventually(t, "wait for the place", func(ctx context.Context) error {
		conn, refusal, err := c.WebSocket(ctx, r(modest))
		if conn != nil {
			return conn.Close()
		}
		if err == nil {
			err = fmt.Errorf("%s", refusal.Body)
		}
		return err
	})
	if err := replica.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := text.ReadByte(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the log ends with %v", err)
	}
}

// TestMalformed verifies that an invalid message of the client ends the stream. The client gets the reason.
func TestMalformed(t *testing.T) {
	p := newPerson(t, "malformed")
	for name, tc := range map[string]struct {
		message string
		status  int
		reason  string
	}{
		"no JSON":   {"{", websocket.ClosePolicyViolation, "malformed"},
		"no action": {`{"action":"fly"}`, websocket.ClosePolicyViolation, "malformed"},
		"too large": {`{"action":"` + string(make([]byte, 100_000)) + `"}`, websocket.CloseMessageTooBig, ""},
		"bad token": {`{"action":"token","token":"x"}`, websocket.ClosePolicyViolation, "session-ended"},
		"other user": {`{"action":"token","token":"` + newPerson(t, "else").AccessToken + `"}`,
			websocket.ClosePolicyViolation, "session-ended"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, p.client, wire.Request{Path: p.base + watchPath, Bearer: p.AccessToken})
			// The server may end the stream before it has read a large message completely. Its kernel then resets the
			// connection, and the client may not get the reason.
			err := s.WriteMessage(websocket.TextMessage, []byte(tc.message))
			if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
				return
			}
			if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
				t.Fatal(err)
			}
			if status, reason := s.awaitEnd(t, promptly); status != tc.status || reason != tc.reason {
				t.Errorf("it ends with %d %s", status, reason)
			}
		})
	}
}
