// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire calls the dashboard's API as an HTTP client does, and verifies that every response has the general
// properties of the contract. It does not depend on the code of the server.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
)

const (
	// GroupPath is the base path of API requests that kube-apiserver forwards to KubeVision.
	GroupPath = "/apis/dashboard.kubevision.io/v1alpha1"
	// DirectPath is the base path that dashboards use.
	DirectPath = "/api/v1"
	// TokenHeader is the request header for the access token if the header Authorization contains another credential.
	TokenHeader = "X-KubeVision-Token"

	timeout = 90 * time.Second
)

// Client sends requests to one address. It does not follow redirects, and stores no cookies.
type Client struct {
	base string
	tls  *tls.Config
	http *http.Client
}

// New returns a client that trusts only the certificate authority in authorityPEM. If client certificates are given,
// the client always presents the first certificate.
func New(base string, authorityPEM []byte, certificates ...tls.Certificate) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorityPEM) {
		return nil, errors.New("no certificate authority in the PEM text")
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if len(certificates) > 0 { // presented even if the server does not list their authority
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &certificates[0], nil
		}
	}
	// HTTP/2 is disabled because its client refuses to send some of the malformed requests.
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 64, IdleConnTimeout: timeout}
	return &Client{base: strings.TrimSuffix(base, "/"), tls: config, http: &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// From returns a copy of c that connects from the given address of this machine, for example 127.0.0.2. The server then
// treats the copy as a client on another machine.
func (c *Client) From(address string) *Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	other, transport := *c.http, &http.Transport{TLSClientConfig: c.tls, DialContext: dialer.DialContext,
		IdleConnTimeout: timeout}
	other.Transport = transport
	return &Client{base: c.base, tls: c.tls, http: &other}
}

// ForConfig returns a client with the credentials of a Kubernetes client configuration.
func ForConfig(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"} // as in New
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("creating a transport: %w", err)
	}
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS settings: %w", err)
	}
	return &Client{base: strings.TrimSuffix(config.Host, "/"), tls: settings, http: &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Request describes a request. All fields but the path are optional.
type Request struct {
	Method string
	// Path is sent unchanged, including its query and its percent signs.
	Path string
	// Bearer is sent in the Authorization header.
	Bearer string
	// Token is sent in the TokenHeader.
	Token string
	// Header contains additional request headers. The names of the headers are not canonicalized.
	Header http.Header
	// Body is sent as application/json unless Header contains a Content-Type.
	Body string
}

// Response is a complete response.
type Response struct {
	Status   int
	Protocol string
	Header   http.Header
	Body     []byte
}

// Configured is like ForConfig, and fails the test on an error.
func Configured(tb testing.TB, config *rest.Config) *Client {
	tb.Helper()
	c, err := ForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Do sends a request and reads the whole response.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	request, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, r.Path, err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", request.Method, r.Path, err)
	}
	return &Response{Status: answer.StatusCode, Protocol: answer.Proto, Header: answer.Header, Body: body}, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	var body io.Reader = http.NoBody
	if r.Body != "" {
		body = bytes.NewReader([]byte(r.Body))
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, c.base+r.Path, body)
	if err != nil {
		return nil, fmt.Errorf("creating a request: %w", err)
	}
	if r.Body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.Bearer != "" {
		request.Header.Set("Authorization", "Bearer "+r.Bearer)
	}
	if r.Token != "" {
		request.Header.Set(TokenHeader, r.Token)
	}
	for name, values := range r.Header {
		if strings.EqualFold(name, "Content-Type") {
			request.Header.Del("Content-Type")
		}
		request.Header[name] = values
	}
	return request, nil
}

// Answers sends a request, and returns an error unless the response has the given code.
func (c *Client) Answers(ctx context.Context, code int, r Request) error {
	response, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	e, err := response.Parse()
	if err != nil {
		return err
	}
	if e.Code != code {
		return fmt.Errorf("code %d (%s), want %d", e.Code, e.Message, code)
	}
	return nil
}

// Send calls Do and fails the test on an error.
func (c *Client) Send(tb testing.TB, r Request) *Response {
	tb.Helper()
	response, err := c.Do(tb.Context(), r)
	if err != nil {
		tb.Fatal(err)
	}
	return response
}

// Call sends a request and reads the envelope of the response.
func (c *Client) Call(tb testing.TB, r Request) Envelope {
	tb.Helper()
	return c.Send(tb, r).Envelope(tb)
}

// Proxy starts a reverse proxy that authenticates to the server as c does, and returns the URL of the proxy. The proxy
// runs until the test ends. Programs without support for client certificates can send requests through the proxy.
func (c *Client) Proxy(tb testing.TB) string {
	tb.Helper()
	base, err := url.Parse(c.base)
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }, Transport: c.http.Transport,
	})
	tb.Cleanup(server.Close)
	return server.URL
}

// Dial opens a TLS connection to the server. Tests use it to send bytes that no HTTP client sends.
func (c *Client) Dial(tb testing.TB) *tls.Conn {
	tb.Helper()
	address := strings.TrimPrefix(c.base, "https://")
	settings := c.tls.Clone()
	settings.NextProtos = []string{"http/1.1"}
	dialer := &tls.Dialer{Config: settings}
	connection, err := dialer.DialContext(tb.Context(), "tcp", address)
	if err != nil {
		tb.Fatalf("dial %s: %v", address, err)
	}
	secured, ok := connection.(*tls.Conn)
	if !ok {
		tb.Fatalf("dial %s: %T is no TLS connection", address, connection)
	}
	tb.Cleanup(func() { _ = secured.Close() })
	return secured
}

// Open sends a request for server-sent events, and returns the response when its header has arrived. It closes the body
// at the end of the test.
func (c *Client) Open(tb testing.TB, r Request) *http.Response {
	tb.Helper()
	request, err := c.request(tb.Context(), r)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	endless := *c.http
	endless.Timeout = 0 // The timeout would include the body.
	response, err := endless.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// WebSocket opens a WebSocket. If the server refuses the upgrade, WebSocket returns the response of the server.
func (c *Client) WebSocket(ctx context.Context, r Request, subprotocols ...string) (*websocket.Conn, *Response, error) {
	request, err := c.request(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	settings := c.tls.Clone()
	settings.NextProtos = []string{"http/1.1"}
	dialer := websocket.Dialer{
		TLSClientConfig: settings, HandshakeTimeout: timeout, Subprotocols: subprotocols, ReadBufferSize: 4096,
	}
	address := "wss://" + strings.TrimPrefix(c.base, "https://") + r.Path
	conn, answer, err := dialer.DialContext(ctx, address, request.Header) //nolint:bodyclose // the dialer closes it
	if err == nil {
		return conn, nil, nil
	}
	if answer == nil {
		return nil, nil, fmt.Errorf("opening a WebSocket at %s: %w", r.Path, err)
	}
	body, err := io.ReadAll(answer.Body) // the dialer has read the first kilobyte of the body
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer to %s: %w", r.Path, err)
	}
	return nil, &Response{Status: answer.StatusCode, Protocol: answer.Proto, Header: answer.Header, Body: body}, nil
}
