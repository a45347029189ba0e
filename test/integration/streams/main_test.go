// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package streams tests WebSockets, directly and through kube-apiserver, with a real control plane.
package streams

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const (
	host = "host"
	// promptly is the timeout for responses that normally take less than a second. Parallel tests can slow the server
	// down.
	promptly = 3 * time.Second
)

var (
	env           *environment.Environment
	recordingsDir string
)

const copyLimit = 8 << 20 // bytes

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if recordingsDir, err = os.MkdirTemp("", "kubevision-recordings-"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(recordingsDir) }()
	keys := filepath.Join(recordingsDir, "keys")
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	if err := os.WriteFile(keys, []byte(key), 0o600); err != nil {
		panic(err)
	}
	return environment.Main(m, environment.Options{APIServerArgs: []string{
		"--read-cache-bytes=67108864", fmt.Sprint("--copy-bytes=", copyLimit),
		"--record-terminals=" + recordingsDir, "--record-terminals-key-file=" + keys,
	}, DetectRaces: []string{environment.APIServer}}, func(e *environment.Environment) { env = e })
}

func set() fixture.Set { return fixture.Set{Client: env.Client, Programs: env.Programs} }

type person struct {
	fixture.User
	fixture.Login

	client *wire.Client
	base   string
}

// newPerson creates a user without a KubeVisionRoleBinding, and logs the user in.
func newPerson(tb testing.TB, name string) person {
	tb.Helper()
	set().HostCluster(tb, host)
	p := person{User: set().User(tb, name), client: at(tb, env.KubeVision.Endpoint()), base: wire.DirectPath}
	p.Login = p.User.Login(tb, p.client, wire.DirectPath)
	return p
}

func at(tb testing.TB, endpoint string) *wire.Client {
	tb.Helper()
	client, err := wire.New(endpoint, env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// bound creates a user with a role in the given namespaces of the host cluster, and logs the user in. Without
// namespaces, the role applies to the whole cluster.
func bound(tb testing.TB, role string, namespaces ...string) person {
	tb.Helper()
	p := newPerson(tb, role)
	set().Bind(tb, role, fixture.Grant{
		Role: role, Subjects: fixture.KubeVisionUsers(p.User), Cluster: host, Namespaces: namespaces,
	})
	return p
}

// ticket requests a ticket, with which a client can open one stream without an access token. The body of the request
// may be empty.
func (p person) ticket(tb testing.TB, body string) string {
	tb.Helper()
	var out struct {
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expiresIn"`
	}
	p.client.Call(tb, wire.Request{Method: http.MethodPost, Path: p.base + "/ws/ticket", Bearer: p.AccessToken,
		Body: body}).
		Want(tb, wire.OK).Into(tb, &out)
	if out.Ticket == "" || out.ExpiresIn != 30 {
		tb.Fatalf("the ticket is %+v", out)
	}
	return out.Ticket
}

// socket is an open stream whose messages are read continuously.
type socket struct {
	*websocket.Conn

	messages chan []byte
	pongs    chan struct{}
	ended    chan struct{}
	end      *websocket.CloseError
}

func open(tb testing.TB, c *wire.Client, r wire.Request, subprotocols ...string) *socket {
	tb.Helper()
	conn, refusal, err := c.WebSocket(tb.Context(), r, subprotocols...)
	if err != nil {
		tb.Fatal(err)
	}
	if refusal != nil {
		tb.Fatalf("%s is refused: %d %s", r.Path, refusal.Status, refusal.Body)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return newSocket(conn)
}

func newSocket(conn *websocket.Conn) *socket {
	s := &socket{
		Conn: conn, messages: make(chan []byte, 10_000), pongs: make(chan struct{}, 10), ended: make(chan struct{}),
	}
	conn.SetPongHandler(func(string) error {
		s.pongs <- struct{}{}
		return nil
	})
	go s.read()
	return s
}

func (s *socket) read() {
	defer close(s.ended)
	for {
		_, message, err := s.ReadMessage()
		if err != nil {
			s.end, _ = errors.AsType[*websocket.CloseError](err)
			return
		}
		s.messages <- message
	}
}

// refused requests a stream that the server must refuse.
func refused(tb testing.TB, c *wire.Client, r wire.Request) wire.Envelope {
	tb.Helper()
	conn, refusal, err := c.WebSocket(tb.Context(), r)
	if err != nil {
		tb.Fatal(err)
	}
	if conn != nil {
		_ = conn.Close()
		tb.Fatalf("%s is open", r.Path)
	}
	return refusal.Envelope(tb)
}

func (s *socket) awaitEnd(tb testing.TB, within time.Duration) (status int, reason string) {
	tb.Helper()
	select {
	case <-s.ended:
	case <-time.After(within):
		tb.Fatalf("the stream does not end within %s", within)
	}
	if s.end == nil {
		tb.Fatal("the stream ends without a reason")
	}
	reason, _, _ = strings.Cut(s.end.Text, ":")
	return s.end.Code, reason
}

// isAlive fails the test unless the server replies to a ping.
func (s *socket) isAlive(tb testing.TB) {
	tb.Helper()
	if err := s.WriteControl(websocket.PingMessage, nil, time.Now().Add(promptly)); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-s.pongs:
	case <-s.ended:
		tb.Fatalf("the stream has ended: %v", s.end)
	case <-time.After(promptly):
		tb.Fatal("the stream does not answer")
	}
}

func (s *socket) send(tb testing.TB, message any) {
	tb.Helper()
	text, err := json.Marshal(message)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.WriteMessage(websocket.TextMessage, text); err != nil {
		tb.Fatal(err)
	}
}
