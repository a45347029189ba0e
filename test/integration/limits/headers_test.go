// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// frames is an HTTP/2 connection on which a test sends individual frames.
type frames struct {
	*http2.Framer

	connection net.Conn
	encoder    *hpack.Encoder
	block      bytes.Buffer
}

// speak opens a connection from a loopback address. It returns nil if the server closes the connection.
func speak(t *testing.T, to, from string) *frames {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(env.KubeVision.CAPEM()) {
		t.Error("no certificate authority")
		return nil
	}
	dialer := &tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second},
		Config: &tls.Config{
			RootCAs: roots, MinVersion: tls.VersionTLS12, ServerName: "localhost", NextProtos: []string{"h2"},
		},
	}
	c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(to, "https://"))
	if err != nil {
		return nil
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	f := &frames{Framer: http2.NewFramer(c, c), connection: c}
	f.encoder = hpack.NewEncoder(&f.block)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil || f.WriteSettings() != nil ||
		f.WriteSettingsAck() != nil {
		return nil
	}
	return f
}

// request sends the headers of an HTTP/2 request, including the given number of copies of the header extra. If the
// method is not GET, the headers announce a body that is never sent.
func (f *frames) request(stream uint32, method, path string, extra hpack.HeaderField, copies int) error {
	f.block.Reset()
	fields := []hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: path},
	}
	hasBody := method != "GET"
	if hasBody {
		fields = append(fields, hpack.HeaderField{Name: "content-type", Value: "application/json"},
			hpack.HeaderField{Name: "content-length", Value: "1000"})
	}
	for _, field := range fields {
		if err := f.encoder.WriteField(field); err != nil {
			return fmt.Errorf("encoding a header: %w", err)
		}
	}
	for range copies {
		if err := f.encoder.WriteField(extra); err != nil {
			return fmt.Errorf("encoding a header: %w", err)
		}
	}
	return f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: !hasBody,
	})
}

// TestHeadersOfSlowBodies verifies that the server needs limited memory for the headers of requests whose bodies never
// arrive. An attacker needs little bandwidth for many headers, because HTTP/2 encodes a repeated header in one byte.
func TestHeadersOfSlowBodies(t *testing.T) {
	const streams, connections = 90, 6
	for name, tc := range map[string]struct {
		field hpack.HeaderField
		times int
	}{
		"many small headers": {hpack.HeaderField{Name: "a"}, 31_000},
		"large headers":      {hpack.HeaderField{Name: "a", Value: strings.Repeat("x", 120<<10), Sensitive: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := replica(t)
			var all sync.WaitGroup
			for from := range 4 {
				for range connections {
					all.Go(func() {
						f := speak(t, r.Endpoint(), fmt.Sprintf("127.0.1.%d", from+1))
						if f == nil {
							return
						}
						go func() { _, _ = io.Copy(io.Discard, f.connection) }()
						for i := range streams {
							if f.request(uint32(2*i+1), "POST", wire.DirectPath+"/auth/login", tc.field,
								tc.times) != nil {
								return // the server may close connections
							}
						}
					})
				}
			}
			all.Wait()
			time.Sleep(time.Second) // the server must read the headers
			survives(t, r, mostMiB)
			ns := set().Namespace(t, "headers")
			answered(t, get(r.Endpoint(), "/clusters/"+host+"/namespaces/"+ns+"/resources/configmaps",
				token(t, r, "dev", ns)))
		})
	}
}

// TestUnreadResponses verifies that the server needs limited memory when clients accept no response data. The server
// holds each request in memory until it has sent the response.
func TestUnreadResponses(t *testing.T) {
	const streams, connections = 90, 20
	for name, tc := range map[string]struct {
		field hpack.HeaderField
		times int
	}{
		"no more headers": {},
		"large headers":   {hpack.HeaderField{Name: "a", Value: strings.Repeat("x", 100<<10), Sensitive: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := replica(t)
			var all sync.WaitGroup
			for from := range 4 {
				for range connections {
					all.Go(func() {
						f := speak(t, r.Endpoint(), fmt.Sprintf("127.0.1.%d", from+1))
						if f == nil || f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize}) != nil {
							return
						}
						go func() { _, _ = io.Copy(io.Discard, f.connection) }()
						for i := range streams {
							// After an unauthenticated request with a valid path, the server would close the
							// connection. Therefore, the path is malformed.
							if f.request(uint32(2*i+1), "GET", wire.DirectPath+"//clusters", tc.field,
								tc.times) != nil {
								return // the server may close connections
							}
						}
					})
				}
			}
			all.Wait()
			time.Sleep(5 * time.Second) // the server must write the refusals, which it delays
			survives(t, r, mostMiB)
			ns := set().Namespace(t, "unread")
			answered(t, get(r.Endpoint(), "/clusters/"+host+"/namespaces/"+ns+"/resources/configmaps",
				token(t, r, "dev", ns)))
		})
	}
}
