// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// frame is a WebSocket message of a log stream, a terminal or a file transfer.
type frame struct {
	Type     string `json:"type"`
	Data     string `json:"data,omitempty"`
	Reason   string `json:"reason,omitempty"`
	ExitCode *int   `json:"exitCode,omitempty"`
	Cols     int    `json:"cols,omitempty"`
	Rows     int    `json:"rows,omitempty"`
	Bytes    int    `json:"bytes,omitempty"`
}

type socket struct {
	*websocket.Conn
}

// open opens a WebSocket for a Pod in the host cluster, on which KubeVision runs. The parameter stream is the rest of
// the path, for example "logs?container=main".
func (p person) open(t *testing.T, namespace, pod, stream string) socket {
	t.Helper()
	path := "/clusters/" + hostName + "/namespaces/" + namespace + "/pods/" + pod + "/" + stream
	conn, refusal, err := p.client.WebSocket(t.Context(), p.request(path))
	if err != nil {
		t.Fatal(err)
	}
	if refusal != nil {
		t.Fatalf("%s is refused: %d %s", path, refusal.Status, refusal.Body)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return socket{conn}
}

func (s socket) send(t *testing.T, f frame) {
	t.Helper()
	if err := s.WriteJSON(f); err != nil {
		t.Fatal(err)
	}
}

func (s socket) typeIn(t *testing.T, text string) {
	t.Helper()
	s.send(t, frame{Type: "input", Data: text})
}

// readUntil reads messages until done returns true, and returns the data of all messages. After each message, it calls
// done with the data so far and the message.
func (s socket) readUntil(t *testing.T, timeout time.Duration, done func(data string, last frame) bool) string {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	var data strings.Builder
	for {
		_, text, err := s.ReadMessage()
		if err != nil {
			t.Fatalf("after %q: %v", tail(data.String()), err)
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("frame %q: %v", text, err)
		}
		data.WriteString(f.Data)
		if done(data.String(), f) {
			return data.String()
		}
	}
}

func (s socket) readCopy(t *testing.T) (content []byte, last frame) {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		kind, message, err := s.ReadMessage()
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(content), err)
		}
		if kind == websocket.BinaryMessage {
			content = append(content, message...)
			continue
		}
		var f frame
		if err := json.Unmarshal(message, &f); err != nil {
			t.Fatalf("frame %q: %v", message, err)
		}
		if f.Type == "close" {
			return content, f
		}
	}
}

func (s socket) awaitText(t *testing.T, text string) {
	t.Helper()
	s.readUntil(t, patience, func(data string, _ frame) bool { return strings.Contains(data, text) })
}

func (s socket) awaitEnd(t *testing.T) (reason string, took time.Duration) {
	t.Helper()
	begun := time.Now()
	if err := s.SetReadDeadline(begun.Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		_, _, err := s.ReadMessage()
		if err == nil {
			continue
		}
		var end *websocket.CloseError
		if !errors.As(err, &end) {
			t.Fatalf("the stream ends without a reason: %v", err)
		}
		reason, _, _ = strings.Cut(end.Text, ":")
		return reason, time.Since(begun)
	}
}

func tail(text string) string {
	const length = 400
	return text[max(0, len(text)-length):]
}
