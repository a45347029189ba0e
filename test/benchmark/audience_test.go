// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// audienceVariable is the environment variable that makes this test binary open watch streams.
	audienceVariable = "KUBEVISION_BENCHMARK_AUDIENCE"
	openAtOnce       = 16
)

// audience describes clients that open watch streams.
type audience struct {
	Endpoint     string
	AuthorityPEM []byte
	Tokens       []string
	Clients      int
	// Message is the message with which each client subscribes to topics. If Message is empty, the clients do not
	// subscribe.
	Message string
}

func (r *podReaders) audience(clients int, message string) audience {
	return audience{Endpoint: env.KubeVision.Endpoint(), AuthorityPEM: env.KubeVision.CAPEM(), Tokens: r.tokens,
		Clients: clients, Message: message}
}

// aside opens watch streams in a child process, which discards the messages until the benchmark ends. The child process
// has the lowest priority, because real clients run on other machines and do not slow down the server.
func (r *podReaders) aside(b *testing.B, clients int, message string) {
	b.Helper()
	in, out := aside(b, audienceVariable)
	if err := json.NewEncoder(in).Encode(r.audience(clients, message)); err != nil {
		b.Fatal(err)
	}
	var problem string
	if err := json.NewDecoder(out).Decode(&problem); err != nil || problem != "" {
		b.Fatal(problem, err)
	}
}

func (r *podReaders) watchers(b *testing.B, clients int, message string) []*websocket.Conn {
	b.Helper()
	conns, err := r.audience(clients, message).open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return conns
}

// attend is the main function of a child process that simulates many watch clients and discards their messages. It
// reads the description of the watch clients from stdin, and returns when stdin is closed.
func attend(stdin io.Reader, stdout io.Writer) error {
	orders := json.NewDecoder(stdin)
	var a audience
	if err := orders.Decode(&a); err != nil {
		return fmt.Errorf("reading the description of the audience: %w", err)
	}
	conns, err := a.open(context.Background())
	defer closeSockets(conns)
	var problem string
	if err != nil {
		problem = err.Error()
	}
	for _, conn := range conns {
		if conn != nil {
			go discard(conn)
		}
	}
	if err := json.NewEncoder(stdout).Encode(problem); err != nil {
		return fmt.Errorf("reporting open streams: %w", err)
	}
	_, err = io.Copy(io.Discard, stdin)
	return err //nolint:wrapcheck // an error of the standard input
}

func (a audience) open(ctx context.Context) ([]*websocket.Conn, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.AuthorityPEM) {
		return nil, errors.New("no authority")
	}
	settings := &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	dialer := websocket.Dialer{TLSClientConfig: settings, ReadBufferSize: 16 << 10}
	address := "wss" + strings.TrimPrefix(a.Endpoint, "https") + wire.DirectPath + "/ws/watch"
	conns := make([]*websocket.Conn, a.Clients)
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	for i := range conns {
		group.Go(func() error {
			header := http.Header{"Authorization": {"Bearer " + a.Tokens[i%len(a.Tokens)]}}
			conn, answer, err := dialer.DialContext(ctx, address, header)
			if err != nil {
				return fmt.Errorf("opening a stream: %w", err)
			}
			conns[i] = conn
			return errors.Join(answer.Body.Close(), subscribe(conn, a.Message))
		})
	}
	return conns, group.Wait() //nolint:wrapcheck // the errors have context
}

func subscribe(conn *websocket.Conn, message string) error {
	if message == "" {
		return nil
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	switch _, answer, err := conn.ReadMessage(); {
	case err != nil:
		return fmt.Errorf("waiting for a bookmark: %w", err)
	case !bytes.Contains(answer, []byte(`"type":"BOOKMARK"`)):
		return fmt.Errorf("the first message is no bookmark: %s", answer)
	}
	return nil
}

// discard reads messages until the connection is closed. It does not decode the messages, so that most processor time
// is available to the server.
func discard(conn *websocket.Conn) {
	for {
		_, r, err := conn.NextReader()
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return
		}
	}
}
