// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// testCluster is a connection that ends when a test closes the channel done.
type testCluster struct{ done chan struct{} }

func (c *testCluster) Done() <-chan struct{} { return c.done }

func serveStreams(tb testing.TB, o Options, h *Handler) (*Manager, string) {
	tb.Helper()
	if o.PerUser == 0 {
		o.PerUser, o.Total = 10_000, 10_000
	}
	o.Bytes = DefaultBytes
	m := NewManager(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.Open(w, r, &user.DefaultInfo{Name: "somebody"}, VerbWatch, h); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	}))
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 10*time.Second)
		defer cancel()
		m.Shutdown(ctx)
		server.Close()
		if n := m.Count(); n != 0 {
			tb.Errorf("%d streams are left", n)
		}
	})
	return m, "ws" + strings.TrimPrefix(server.URL, "http")
}

func dial(tb testing.TB, address string) *websocket.Conn {
	tb.Helper()
	conn, answer, err := websocket.DefaultDialer.DialContext(tb.Context(), address, nil)
	if err != nil {
		tb.Fatal(err)
	}
	_ = answer.Body.Close()
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// endOf reads until the stream is closed.
func endOf(tb testing.TB, conn *websocket.Conn) (code int, reason Reason, messages []string) {
	tb.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		_, message, err := conn.ReadMessage()
		if err == nil {
			messages = append(messages, string(message))
			continue
		}
		closed, ok := errors.AsType[*websocket.CloseError](err)
		if !ok {
			tb.Fatalf("it does not end: %v", err)
		}
		text, _, _ := strings.Cut(closed.Text, ":")
		return closed.Code, Reason(text), messages
	}
}

// TestEnds verifies that the client receives a close code and a reason when the server ends a stream. Before the close
// code, the client must receive the message of Handler.Last.
func TestEnds(t *testing.T) {
	cluster := &testCluster{done: make(chan struct{})}
	for name, tc := range map[string]struct {
		handler Handler
		check   func(context.Context, user.Info) error
		expires time.Time
		end     func(*Manager)
		code    int
		reason  Reason
	}{
		"done": {handler: Handler{Serve: func(context.Context, *Stream) error {
			return nil
		}}, code: 1000, reason: Done},
		"failed": {handler: Handler{Serve: func(context.Context, *Stream) error {
			return errors.New("x")
		}}, code: 1011, reason: Failed},
		"panic": {handler: Handler{Serve: func(context.Context, *Stream) error {
			panic("x")
		}}, code: 1011, reason: Failed},
		"panic of another goroutine": {handler: Handler{Began: func(s *Stream) {
			s.Go(func() { panic("x") })
		}}, code: 1011, reason: Failed},
		"denied": {handler: Handler{Check: func(context.Context) error {
			return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not")
		}}, code: 1008, reason: Forbidden},
		"session": {check: func(context.Context, user.Info) error {
			return NewEnd(SessionEnded, "x")
		}, code: 1008, reason: SessionEnded},
		"expired": {expires: time.Now(), code: 1008, reason: TokenExpired},
		"expired for the check": {handler: Handler{Check: func(context.Context) error {
			return envelope.New(dashboardv1alpha1.CodeTokenExpired, "x")
		}}, code: 1008, reason: TokenExpired},
		"too long": {handler: Handler{MaxTime: 50 * time.Millisecond}, code: 1008, reason: TooLong},
		"idle":     {handler: Handler{IdleTime: 100 * time.Millisecond}, code: 1008, reason: Idle},
		"binary as text": {handler: Handler{Serve: func(_ context.Context, s *Stream) error {
			return s.SendText([]byte{0xff})
		}}, code: 1011, reason: Failed},
		"cluster": {handler: Handler{Depends: []Cluster{cluster}}, end: func(*Manager) {
			close(cluster.done)
		}, code: 1011, reason: ClusterGone},
		"shutdown": {end: func(m *Manager) { go m.Shutdown(t.Context()) }, code: 1012, reason: Shutdown},
	} {
		t.Run(name, func(t *testing.T) {
			h := tc.handler
			h.Last = func(e End) []byte { return []byte("last of " + string(e.Reason)) }
			ended := make(chan End, 2)
			h.Ended = func(e End) { ended <- e }
			m, address := serveStreams(t, Options{
				Check: tc.check, Expires: func(user.Info) time.Time { return tc.expires },
			}, &h)
			conn := dial(t, address)
			if tc.end != nil {
				tc.end(m)
			}
			code, reason, messages := endOf(t, conn)
			if code != tc.code || reason != tc.reason || len(messages) != 1 ||
				messages[0] != "last of "+string(tc.reason) {
				t.Errorf("it ends with %d %s after %q", code, reason, messages)
			}
			if e := <-ended; e.Reason != tc.reason {
				t.Errorf("the handler is told %s", e.Reason)
			}
		})
	}
}

// TestLostRight verifies that a stream ends within 1.5 seconds after a change of RBAC objects revokes the access of the
// caller. The API server may still use the old RBAC objects for 500 ms.
func TestLostRight(t *testing.T) {
	member, host := &testCluster{done: make(chan struct{})}, &testCluster{done: make(chan struct{})}
	for name, changed := range map[string]Cluster{"member": member, "host": host} {
		t.Run(name, func(t *testing.T) { checkLostRight(t, member, host, changed) })
	}
}

// checkLostRight opens a stream that depends on member. It revokes the access of the caller, and reports a change of
// RBAC objects on changedCluster. It verifies that the stream ends in time, with the reason Forbidden.
func checkLostRight(t *testing.T, member, host, changedCluster Cluster) {
	t.Helper()
	var changed atomic.Int64
	h := &Handler{Depends: []Cluster{member}, Check: func(context.Context) error {
		at := changed.Load()
		if at != 0 && time.Since(time.Unix(0, at)) > 500*time.Millisecond {
			return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not")
		}
		return nil
	}}
	m, address := serveStreams(t, Options{
		Watched: func(Cluster) bool { return true }, Host: func() Cluster { return host },
	}, h)
	conn := dial(t, address)
	time.Sleep(50 * time.Millisecond)
	changed.Store(time.Now().UnixNano())
	m.ClusterChanged(changedCluster)
	if _, reason, _ := endOf(t, conn); reason != Forbidden {
		t.Errorf("it ends with %s", reason)
	}
	if took := time.Since(time.Unix(0, changed.Load())); took > 1500*time.Millisecond {
		t.Errorf("it ends after %s", took)
	}
}

// TestUnreachableCheck verifies that a stream continues for the time checkGrace while the access of the caller cannot
// be checked. Then the stream must end.
func TestUnreachableCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		since time.Duration
		alive bool
	}{"a moment": {0, true}, "too long": {checkGrace, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := make(chan *Stream, 1)
			h := &Handler{
				Began: func(s *Stream) {
					s.checks.passed = time.Now().Add(-tc.since)
					began <- s
				},
				Check: func(context.Context) error { return errors.New("timeout") },
			}
			_, address := serveStreams(t, Options{}, h)
			dial(t, address)
			s := <-began
			select {
			case <-s.Context().Done():
				if end := EndOf(context.Cause(s.Context())); tc.alive || end.Reason != Failed {
					t.Errorf("it ends with %s", end.Reason)
				}
			case <-time.After(500 * time.Millisecond):
				if !tc.alive {
					t.Error("it goes on")
				}
			}
		})
	}
}

// TestUnwatchedCluster verifies that a stream ends within 3 seconds after the caller loses access, even if RBAC objects
// are not watched.
func TestUnwatchedCluster(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	h := &Handler{Depends: []Cluster{&testCluster{done: make(chan struct{})}}, Check: func(context.Context) error {
		if lost.Load() {
			return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not")
		}
		return nil
	}}
	_, address := serveStreams(t, Options{Watched: func(Cluster) bool { return false }}, h)
	conn := dial(t, address)
	lost.Store(true)
	began := time.Now()
	if _, reason, _ := endOf(t, conn); reason != Forbidden || time.Since(began) > 3*time.Second {
		t.Errorf("it ends with %s after %s", reason, time.Since(began))
	}
}

// TestSlowClient verifies that a stream ends with the reason Slow if the client reads nothing.
func TestSlowClient(t *testing.T) {
	returned := make(chan error, 1)
	block := make([]byte, 1<<20)
	m, address := serveStreams(t, Options{}, &Handler{Serve: func(_ context.Context, s *Stream) error {
		for {
			if err := s.SendBinary(block); err != nil {
				returned <- err
				return err
			}
		}
	}})
	m.timing.write = 200 * time.Millisecond
	dial(t, address)
	select {
	case err := <-returned:
		if end := EndOf(err); end.Reason != Slow {
			t.Errorf("it ends with %s", end.Reason)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the handler still sends")
	}
}

// TestEndWhileSending verifies that the server can end a stream within two seconds although the client reads nothing.
func TestEndWhileSending(t *testing.T) {
	returned := make(chan struct{})
	block := make([]byte, 1<<20)
	m, address := serveStreams(t, Options{}, &Handler{Serve: func(_ context.Context, s *Stream) error {
		defer close(returned)
		for s.SendBinary(block) == nil {
			continue
		}
		return nil
	}})
	dial(t, address)
	time.Sleep(200 * time.Millisecond) // time to fill the buffers
	began := time.Now()
	m.Shutdown(t.Context())
	<-returned
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestVanishedClients verifies that 500 clients whose connections end without a close message leave no goroutines or
// streams.
func TestVanishedClients(t *testing.T) {
	m, address := serveStreams(t, Options{}, &Handler{Serve: func(ctx context.Context, _ *Stream) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	warm := dial(t, address)
	_ = warm.Close()
	await(t, "the first to go", func() bool { return m.Count() == 0 })
	before := runtime.NumGoroutine()
	const clients = 500
	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conns[i] = dial(t, address)
	}
	await(t, "all to be open", func() bool { return m.Count() == clients })
	for _, c := range conns {
		_ = c.NetConn().Close()
	}
	await(t, "all to be gone", func() bool { return m.Count() == 0 && runtime.NumGoroutine() <= before+10 })
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.streams)+len(m.users)+len(m.perUser)+len(m.clusters) > 0 {
		t.Errorf("left behind: %d %d %d %d", len(m.streams), len(m.users), len(m.perUser), len(m.clusters))
	}
}

func await(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waiting for %s", what)
		}
	}
}

// TestReceived verifies that the server calls Handler.Received for one message at a time. The server can end the stream
// while Handler.Received is still running.
func TestReceived(t *testing.T) {
	got, held := make(chan string, 10), make(chan struct{})
	m, address := serveStreams(t, Options{},
		&Handler{Received: func(ctx context.Context, _ *Stream, msg Message) error {
			got <- string(msg.Data)
			if string(msg.Data) == "wait" {
				select {
				case <-held:
				case <-ctx.Done():
				}
			}
			return nil
		}})
	conn := dial(t, address)
	for _, text := range []string{"one", "wait", "two"} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"one", "wait"} {
		if text := <-got; text != want {
			t.Errorf("%q instead of %q", text, want)
		}
	}
	select {
	case text := <-got:
		t.Errorf("%q arrives too early", text)
	case <-time.After(50 * time.Millisecond):
	}
	m.Shutdown(t.Context())
	if m.Count() != 0 {
		t.Error("the stream is still open")
	}
}

// TestPingAfterTheResponse verifies that nothing is sent on a response after its handler has returned.
func TestPingAfterTheResponse(t *testing.T) {
	m := NewManager(Options{PerUser: 1, Total: 1, Bytes: DefaultBytes})
	returned := make(chan *Stream, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var stream *Stream
		h := &Handler{Began: func(s *Stream) { stream = s }, Serve: func(context.Context, *Stream) error { return nil }}
		if err := m.OpenEvents(w, r, &user.DefaultInfo{Name: "somebody"}, VerbWatch, h); err != nil {
			t.Error(err)
		}
		returned <- stream
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	response, err := server.Client().Get(server.URL) //nolint:noctx // it ends immediately
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	_ = response.Body.Close()
	stream := <-returned
	time.Sleep(10 * time.Millisecond) // time for the server to release the response
	stream.ping()
}
