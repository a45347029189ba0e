// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

func upgradingClient(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewTLSServer(handle)
	t.Cleanup(s.Close)
	known, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the transport is unknown")
	}
	c, err := newConnection(&rest.Config{Host: s.URL, QPS: -1}, known, nil, nil, budget.New(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	c.dialTransport = func() *http.Transport {
		return &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: known.TLSClientConfig}
	}
	c.authenticate = func(next http.RoundTripper) http.RoundTripper { return next }
	client, err := newClient(c, "alice", transport.ImpersonationConfig{UserName: "kubevision:alice"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func execCall() Call {
	return Call{
		Resource:  Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "pods"}},
		Namespace: "team", Name: "web", Subresource: "exec",
	}
}

// TestHostileUpgrades verifies that an endless or invalid response to an upgrade request causes an error within
// seconds. The error must not quote the response, which could contain a secret.
func TestHostileUpgrades(t *testing.T) {
	const secret = "a secret of the server"
	for name, handle := range map[string]http.HandlerFunc{
		"endless error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			for {
				if _, err := w.Write(bytes.Repeat([]byte(secret), 1000)); err != nil {
					return
				}
			}
		},
		"success without an upgrade": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, secret)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://localhost/"+secret, http.StatusFound)
		},
		"endless header": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n")
			for {
				if _, err := io.WriteString(conn, "X-Header: "+strings.Repeat(secret, 100)+"\r\n"); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := upgradingClient(t, handle)
			began := time.Now()
			err := c.Exec(t.Context(), execCall(), remotecommand.StreamOptions{Stdout: io.Discard})
			if err == nil || strings.Contains(err.Error(), secret) || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	}
}

// TestRefusedUpgrades verifies the error after a server rejects an upgrade request. If the response is a metav1.Status,
// the error contains the metav1.Status. Otherwise, the error contains only the HTTP status code.
func TestRefusedUpgrades(t *testing.T) {
	const secret = "a secret of the server"
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web", errors.New("not today")).Status()
	typed, err := json.Marshal(&forbidden)
	if err != nil {
		t.Fatal(err)
	}
	typed = bytes.Replace(typed, []byte(`{`), []byte(`{"kind":"Status","apiVersion":"v1",`), 1)
	for name, test := range map[string]struct {
		mediaType, body, want string
		typed                 bool
	}{
		"API server": {"application/json", string(typed), `pods "web" is forbidden: not today`, true},
		"kubelet":    {"text/plain", secret, "HTTP status 403 (Forbidden)", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := upgradingClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.mediaType)
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, test.body)
			})
			execErr := c.Exec(t.Context(), execCall(), remotecommand.StreamOptions{Stdout: io.Discard})
			_, forwardErr := c.Forward(t.Context(), execCall(), "portforward.k8s.io")
			for _, err := range []error{execErr, forwardErr} {
				refused, untyped := errors.AsType[*UpgradeRefusedError](err)
				if err == nil || apierrors.IsForbidden(err) != test.typed || untyped == test.typed ||
					untyped && refused.Status != http.StatusForbidden || !strings.Contains(err.Error(), test.want) ||
					strings.Contains(err.Error(), secret) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

// TestUpgradeEndsWithItsContext verifies that Exec returns when the context is cancelled, even if the cluster has not
// responded to the upgrade request.
func TestUpgradeEndsWithItsContext(t *testing.T) {
	arrived := make(chan *http.Request, 1)
	c := upgradingClient(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Exec(ctx, execCall(), remotecommand.StreamOptions{Stdout: io.Discard}) }()
	r := <-arrived
	if r.Method != http.MethodPost || r.Header.Get("Impersonate-User") != "kubevision:alice" ||
		r.URL.Path != "/api/v1/namespaces/team/pods/web/exec" {
		t.Errorf("%s %s as %q", r.Method, r.URL.Path, r.Header.Get("Impersonate-User"))
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}
