// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// unread is an HTTP/2 client that grants no flow-control window, so that the server cannot send a body.
type unread struct {
	*http2.Framer

	connection net.Conn
	last       uint32
}

func serveUnread(t *testing.T, bytes int64) (*Listener, func() *unread) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	l := Limit(server.Listener, Options{
		Bytes:    bytes,
		Networks: func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} },
		Known:    func(netip.Addr) bool { return false },
	})
	server.Listener, server.EnableHTTP2 = l, true
	server.Config.Handler = l.Handler(http.NotFoundHandler(), func(*http.Request) bool { return false })
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	return l, func() *unread {
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		connection, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		c := &unread{Framer: http2.NewFramer(connection, connection), connection: connection}
		if err := c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize}); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, connection) }()
		return c
	}
}

// request sends a request with a large header. It returns false if the server has closed the connection.
func (c *unread) request(t *testing.T, headerBytes int) bool {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: "/"}, {Name: "a", Value: strings.Repeat("x", headerBytes), Sensitive: true},
	} {
		if err := encoder.WriteField(field); err != nil {
			t.Fatal(err)
		}
	}
	const frame = 16 << 10
	c.last += 2
	stream, rest := c.last-1, block.Bytes()
	first := rest[:min(frame, len(rest))]
	rest = rest[len(first):]
	err := c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: first, EndHeaders: len(rest) == 0, EndStream: true,
	})
	for err == nil && len(rest) > 0 {
		part := rest[:min(frame, len(rest))]
		rest = rest[len(part):]
		err = c.WriteContinuation(stream, len(rest) == 0, part)
	}
	return err == nil
}

func (l *Listener) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestUnreadResponses verifies how long the headers of an HTTP/2 request count toward the memory of a connection. The
// headers count until the client accepts the response or cancels the request.
func TestUnreadResponses(t *testing.T) {
	const requests, header = 10, 100 << 10
	l, dial := serveUnread(t, 1<<30)
	c := dial()
	for range requests {
		if !c.request(t, header) {
			t.Fatal("the connection is closed")
		}
	}
	eventually(t, "the requests", func() bool { return l.bytes() > idleBytes+requests*(streamBytes+header) })
	for i := range requests { // the response is sent, or the client has cancelled the request
		stream := uint32(2*i + 1)
		err := c.WriteWindowUpdate(stream, 1<<20)
		if i%2 == 0 {
			err = c.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the responses", func() bool { // the frames of the client count until its next request
		return l.bytes() < 2*idleBytes
	})
	if !c.request(t, 1) {
		t.Fatal("the connection is closed")
	}
	eventually(t, "another request", func() bool { return l.bytes() < idleBytes+2*streamBytes })
}

// TestManyUnreadResponses verifies that connections of clients that do not accept responses are closed before they use
// all memory.
func TestManyUnreadResponses(t *testing.T) {
	const most = 4 << 20
	l, dial := serveUnread(t, most)
	closed := 0
	for range 4 {
		c := dial()
		for range 90 {
			if !c.request(t, 100<<10) {
				closed++
				break
			}
		}
	}
	if closed == 0 {
		t.Error("no connection was closed")
	}
	if got := l.bytes(); got > most {
		t.Errorf("%d bytes are in use", got)
	}
}
