// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
	httpstreamspdy "k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// upgradePing is the time between two pings on a SPDY connection.
const upgradePing = 5 * time.Second

// Exec runs a command in a container, or attaches to a container, as the user. The call must be to the subresource exec
// or attach of a Pod. Exec returns when the command or the context has ended. It returns a
// k8s.io/client-go/util/exec.CodeExitError if the command has failed.
//
// If the context ends while a stream is being created, Exec may return up to 30 s later.
func (c *Client) Exec(ctx context.Context, call Call, options remotecommand.StreamOptions) error {
	u, err := c.prepareUpgrade(ctx, call)
	if err != nil {
		return err
	}
	defer u.end() // waits for the SPDY library, which may still use the memory of the connection
	// For a POST, all versions of the API server require the right to create the subresource. The WebSocket client of
	// client-go sends a GET, for which older API servers require only the right to get the subresource. It also opens
	// connections without the address policy.
	executor, err := remotecommand.NewSPDYExecutorRejectRedirects(
		u.client.Transport, spdy.NewUpgraderForStreaming(u.upgrader), http.MethodPost, u.url,
	)
	if err != nil {
		return fmt.Errorf("creating a connection for streams: %w", err)
	}
	err = executor.StreamWithContext(u.ctx, options) //nolint:contextcheck // it is derived from ctx
	if refused := u.refused(); err != nil && refused != nil {
		return refused
	}
	if err == nil && u.frames.lacksResult() { // A command that has ended has a result, even if it succeeded.
		return response.NewFailure("the connection was closed before the command ended", nil)
	}
	if u.conn.isUpgraded() {
		return err //nolint:wrapcheck // it is that of the command
	}
	return upgradeError(ctx, err)
}

// Forward opens a SPDY connection to the subresource portforward of a Pod as the user, with the streaming protocol of
// the given name. The connection is closed when ctx ends.
func (c *Client) Forward(ctx context.Context, call Call, protocol string) (httpstream.Connection, error) {
	u, err := c.prepareUpgrade(ctx, call)
	if err != nil {
		return nil, err
	}
	//nolint:contextcheck // it is derived from ctx
	request, err := http.NewRequestWithContext(u.ctx, http.MethodPost, u.url.String(), http.NoBody)
	if err != nil {
		u.close()
		return nil, fmt.Errorf("creating a request: %w", err)
	}
	upgrader := spdy.NewUpgraderForStreaming(u.upgrader)
	connection, _, err := spdy.NegotiateStreaming(upgrader, u.client, request, protocol)
	if err != nil {
		u.close()
		return nil, upgradeError(ctx, err)
	}
	return connection, nil
}

// UpgradeRefusedError is returned if a kubelet, or another server behind the API server, has refused an upgrade. API
// servers forward the response of such a server unchanged, and it may contain any text. Therefore, the error contains
// only the HTTP status.
type UpgradeRefusedError struct {
	// Status is the HTTP status code.
	Status int
}

// Error implements error.
func (e *UpgradeRefusedError) Error() string {
	return fmt.Sprintf(
		"the kubelet of the node, or a proxy before it, has refused the connection with HTTP status %d (%s)",
		e.Status, http.StatusText(e.Status),
	)
}

// refusalOf returns the error for a response that refuses an upgrade. The error is the Status in the response body, or
// a response.Failure if the body contains no usable Status.
func refusalOf(answer *http.Response) error {
	defer func() { _ = answer.Body.Close() }()
	refusal := &apierrors.StatusError{}
	if answer.StatusCode < http.StatusBadRequest { // the body has not been sanitized
		return response.NewFailure("the cluster did not upgrade the connection", nil)
	}
	// response.Transport has sanitized the bodies of error responses.
	if err := json.NewDecoder(answer.Body).Decode(&refusal.ErrStatus); err != nil {
		return response.NewFailure("the cluster did not upgrade the connection", err)
	}
	return refusal
}

// upgradeError converts an error of an upgraded connection to an error whose text may be shown to users. If ctx has
// ended, it returns the cause of ctx.
func upgradeError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok && !response.IsTyped(err) {
		return &UpgradeRefusedError{Status: int(status.ErrStatus.Code)}
	}
	return response.Error(ctx, err)
}

// upgrade contains a request for an upgrade and the connection on which it is sent.
type upgrade struct {
	url      *url.URL
	client   *http.Client
	upgrader *limitedUpgrader
	conn     *upgradedConn
	frames   *frameConn
	ctx      context.Context //nolint:containedctx // that of the connection
	close    context.CancelFunc
}

// prepareUpgrade prepares a request that impersonates the user and upgrades its connection to SPDY. It does not open
// the connection yet.
func (c *Client) prepareUpgrade(ctx context.Context, call Call) (*upgrade, error) {
	client, err := c.rest()
	if err != nil {
		return nil, err
	}
	target := client.Post().AbsPath(path(call)...)
	for key, values := range call.Query {
		for _, value := range values {
			target = target.Param(key, value)
		}
	}
	u := &upgrade{url: target.URL(), conn: &upgradedConn{}}
	dialed := c.connection.dialTransport()
	if dialed == nil || dialed.TLSClientConfig == nil || dialed.DialContext == nil {
		return nil, errors.New("there is no connection that can be upgraded")
	}
	u.ctx, u.close = context.WithCancel(ctx)
	spdyUpgrader, err := httpstreamspdy.NewRoundTripperWithConfig(httpstreamspdy.RoundTripperConfig{
		PingPeriod: upgradePing, UpgradeTransport: &http.Transport{DialContext: u.spdyDialer(dialed)},
	})
	if err != nil {
		u.close()
		return nil, fmt.Errorf("creating a connection for streams: %w", err)
	}
	u.upgrader = &limitedUpgrader{SpdyRoundTripper: spdyUpgrader, conn: func() *frameConn { return u.frames }}
	handshake := &handshakeRoundTripper{next: &response.Transport{Next: u.upgrader, Upgrades: true}, conn: u.conn}
	asUser := transport.NewImpersonatingRoundTripper(c.identity, c.connection.authenticate(handshake))
	u.client = &http.Client{
		Transport:     &stepup.RoundTripper{Next: transport.NewUserAgentRoundTripper(userAgent(), asUser)},
		CheckRedirect: refuseRedirect,
	}
	return u, nil
}

// spdyDialer returns the function with which the SPDY library connects to the cluster. This function uses DialContext
// and TLSClientConfig of the given http.Transport. It establishes TLS itself, because frameConn must limit the
// decrypted frames. spdyDialer changes the scheme of u.url from https to http, so that the SPDY library does not
// establish TLS again.
func (u *upgrade) spdyDialer(known *http.Transport) dialFunc {
	address, host, secure := u.url.Host, u.url.Hostname(), u.url.Scheme == "https"
	if secure {
		u.url.Scheme = "http"
		if u.url.Port() == "" {
			address = net.JoinHostPort(host, "443")
		}
	}
	connect := u.conn.dialWith(u.ctx, known.DialContext)
	return func(ctx context.Context, network, given string) (net.Conn, error) {
		if !secure {
			address = given
		}
		conn, err := connect(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if secure {
			config := known.TLSClientConfig.Clone()
			config.NextProtos = []string{"http/1.1"}
			if config.ServerName == "" {
				config.ServerName = host
			}
			encrypted := tls.Client(conn, config)
			if err := encrypted.HandshakeContext(ctx); err != nil {
				_ = conn.Close()
				return nil, err //nolint:wrapcheck // the caller finds out the kind of the error
			}
			conn = encrypted
		}
		u.frames = newFrameConn(u.ctx, conn) //nolint:contextcheck // it is derived from the request
		return u.frames, nil
	}
}

// end closes the connection, and waits until all calls of CreateStream have returned. Until then, these calls may use
// the memory of the connection.
func (u *upgrade) end() {
	u.close()
	if u.frames != nil {
		u.frames.awaitCreation()
	}
}

// refused returns the error of a frame that exceeded a limit, or nil.
func (u *upgrade) refused() error {
	if u.frames == nil {
		return nil
	}
	return u.frames.err()
}

// handshakeRoundTripper sends the request for an upgrade. During this request, the connection has limits for the
// duration and the received bytes. handshakeRoundTripper removes these limits if the cluster accepts the upgrade.
type handshakeRoundTripper struct {
	next http.RoundTripper
	conn *upgradedConn
}

// RoundTrip implements http.RoundTripper.
func (h *handshakeRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := h.next.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusSwitchingProtocols {
		err = h.conn.removeLimits()
	}
	return answer, err
}
