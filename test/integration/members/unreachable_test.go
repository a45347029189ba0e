// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// leak is a text in responses of a member that must not appear in any other place.
	leak = "answer-of-a-member-canary"
	slow = "slow"
	// patience bounds the time of a request to a member: the timeout of a call, and a margin for a slow machine.
	patience = 45 * time.Second
)

// ailing is a test server that is registered as a member cluster. A test can set a faulty handler for
// requests for Pods.
type ailing struct {
	*standin

	fault       atomic.Pointer[http.HandlerFunc]
	certificate atomic.Pointer[tls.Certificate]
	asked       atomic.Int64
}

func newAiling(t *testing.T) *ailing {
	t.Helper()
	a := &ailing{standin: &standin{answers: map[string]http.HandlerFunc{}}}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if c := a.certificate.Load(); c != nil {
			return &tls.Config{Certificates: []tls.Certificate{*c}, MinVersion: tls.VersionTLS12}, nil
		}
		return nil, nil //nolint:nilnil // the stand-in responds itself
	}, MinVersion: tls.VersionTLS12}
	a.StartTLS()
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

func (a *ailing) serve(w http.ResponseWriter, r *http.Request) {
	fault := a.fault.Load()
	switch {
	case fault != nil && strings.HasPrefix(r.URL.Path, podsPath):
		a.asked.Add(1)
		(*fault)(w, r)
	case r.URL.Path == "/api/v1":
		write(w, metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{{
			Name: "pods", Namespaced: true, Kind: "Pod",
			Verbs: metav1.Verbs{"get", "list", "create", "update", "patch", "delete"},
		}}})
	default:
		a.standin.serve(w, r)
	}
}

// answering returns a handler that sends the given response. keysAndValues contains the name of each header, followed
// by the value of the header.
func answering(status int, mediaType, text string, keysAndValues ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("X-Leak", leak)
		for pair := range slices.Chunk(keysAndValues, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

const timedOut = "etcdserver: request timed out"

func status(code int, reason metav1.StatusReason) string {
	return statusWithMessage(code, reason, leak)
}

func statusWithMessage(code int, reason metav1.StatusReason, message string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`,
		message, reason, code)
}

// failures returns handlers that respond with an error of an API server.
func failures() map[string]http.HandlerFunc {
	typed := func(code int, reason metav1.StatusReason, header ...string) http.HandlerFunc {
		return answering(code, "application/json", statusWithMessage(code, reason, timedOut), header...)
	}
	return map[string]http.HandlerFunc{
		"an error of its": typed(http.StatusInternalServerError, metav1.StatusReasonInternalError),
		"unavailable":     typed(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable),
		"too late":        typed(http.StatusGatewayTimeout, metav1.StatusReasonTimeout),
		"unauthorized":    typed(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Www-Authenticate", leak),
		"busy":            typed(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "Retry-After", "1"),
		"busy for an hour": typed(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "Retry-After",
			"3600"),
	}
}

// faults returns handlers of servers that accept connections but respond incorrectly.
func faults() map[string]http.HandlerFunc {
	const text, jsonText = "text/html", "application/json"
	return map[string]http.HandlerFunc{
		"text":    answering(http.StatusOK, text, leak),
		"nothing": answering(http.StatusOK, jsonText, ""),
		"half an object": answering(http.StatusOK, jsonText,
			`{"kind":"PodList","items":[{"metadata":{"name":"`+leak),
		"another type": answering(http.StatusOK, jsonText, `["`+leak+`"]`),
		"no objects": answering(http.StatusOK, jsonText,
			`{"kind":"PodList","items":["`+leak+`"],"metadata":"`+leak+`"}`),
		"an error page": answering(http.StatusBadGateway, text, leak),
		"unavailable":   answering(http.StatusServiceUnavailable, text, leak, "Retry-After", "1"),
		"a redirect": answering(http.StatusPermanentRedirect, text, leak, "Location",
			"https://192.0.2.1/"+leak),
		"a strange status":   answering(299, text, leak),
		"a teapot":           answering(http.StatusTeapot, text, leak),
		"cut at once":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut in the middle":  cut(200),
		"cut of a huge body": cut(1 << 40),
		slow: func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		},
	}
}

func cut(length int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
		_, _ = w.Write([]byte(`{"kind":"PodList","items":["` + leak + `",`))
		panic(http.ErrAbortHandler)
	}
}

// TestFailuresOfAnAPIServer verifies that the messages of an API server about its own failures are returned unchanged.
func TestFailuresOfAnAPIServer(t *testing.T) {
	for name, failure := range failures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAiling(t)
			p, c := onStandin(t, a.standin)
			a.fault.Store(&failure)
			for _, r := range podRequests(c.Name) {
				if message := unreachable(t, p, a, r).Message; !strings.HasSuffix(message, ": "+timedOut) {
					t.Errorf("%s %s says %q", r.Method, r.Path, message)
				}
			}
			search := wire.Request{
				Path:   wire.DirectPath + "/search?q=one&kinds=pods&namespace=default&clusters=" + c.Name,
				Bearer: p.token,
			}
			if e := p.client.Call(t, search).Want(t, wire.OK); !strings.Contains(string(e.Raw), timedOut) {
				t.Errorf("a search says %s", e.Raw)
			}
		})
	}
}

// TestNothingIsFound verifies that a server that responds to all requests with 404 does not count as an API server,
// even if it responded as an API server before.
func TestNothingIsFound(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"text": answering(http.StatusNotFound, "text/plain", leak),
		"a status": answering(
			http.StatusNotFound, "application/json", status(http.StatusNotFound, metav1.StatusReasonNotFound),
		),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAiling(t)
			p, c := onStandin(t, a.standin)
			a.answerAll(answer)
			for _, path := range []string{"pods", "pods/one", "others"} {
				path = "/namespaces/default/resources/" + path
				p.becomes(t, fixture.Patience, c.Name, path, wire.Unreachable)
			}
			condition(t, c, noticed, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse, "")
		})
	}
}

// TestUnreachable verifies that KubeVision quickly reports a registered cluster as unreachable if the cluster does not
// respond like an API server. KubeVision must not return text from the responses of the cluster.
func TestUnreachable(t *testing.T) {
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAiling(t)
			p, c := onStandin(t, a.standin)
			a.fault.Store(&fault)
			for _, r := range podRequests(c.Name) {
				before := a.asked.Load()
				unreachable(t, p, a, r)
				if r.Method == http.MethodGet && a.asked.Load() == before {
					t.Errorf("%s %s: the member received no request", r.Method, r.Path)
				}
				if name == slow {
					break // the next requests would take as long, or would fail without being sent
				}
			}
		})
	}
}

func TestUnreachableByCertificate(t *testing.T) {
	const renewed = "renewed" // the certificate is valid, so that only the time differs
	for name, end := range map[string]time.Duration{"expired": -time.Minute, "not valid yet": 2 * time.Hour,
		renewed: 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAiling(t)
			p, c := onStandin(t, a.standin)
			a.fault.Store(new(answering(http.StatusOK, "application/json", leak)))
			a.certificate.Store(issued(t, a.TLS.Certificates[0], time.Now().Add(end)))
			a.CloseClientConnections()
			for _, r := range podRequests(c.Name) {
				unreachable(t, p, a, r)
			}
			if n := a.asked.Load(); (n != 0) != (name == renewed) {
				t.Errorf("it was sent %d requests", n)
			}
		})
	}
}

// issued returns a certificate that is signed by good and is valid for the hour before end.
func issued(t *testing.T, good tls.Certificate, end time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "member"}, NotBefore: end.Add(-time.Hour),
		NotAfter: end,
		DNSNames: good.Leaf.DNSNames, IPAddresses: good.Leaf.IPAddresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, good.Leaf, key.Public(), good.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func podRequests(cluster string) []wire.Request {
	path := wire.DirectPath + "/clusters/" + cluster + "/namespaces/default/resources/pods"
	const (
		created = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"one"}}`
		pod     = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"one","resourceVersion":"1"}}`
	)
	return []wire.Request{
		{Method: http.MethodGet, Path: path},
		{Method: http.MethodGet, Path: path + "/one"},
		{Method: http.MethodPost, Path: path, Body: created},
		{Method: http.MethodPut, Path: path + "/one", Body: pod},
		{Method: http.MethodPatch, Path: path + "/one", Body: `{}`,
			Header: http.Header{"Content-Type": {"application/merge-patch+json"}}},
		{Method: http.MethodDelete, Path: path + "/one"},
	}
}

// unreachable verifies that KubeVision rejects a request with the code 50200, and does not return text from the
// responses of a registered cluster.
func unreachable(t *testing.T, p *person, a *ailing, r wire.Request) wire.Envelope {
	t.Helper()
	r.Bearer = p.token
	begun := time.Now()
	response := p.client.Send(t, r)
	e := response.Envelope(t).Want(t, wire.Unreachable)
	if took := time.Since(begun); took > patience {
		t.Errorf("%s %s took %s", r.Method, r.Path, took)
	}
	text := fmt.Sprint(response.Header) + string(response.Body)
	for _, secret := range []string{leak, strings.TrimPrefix(a.URL, "https://"), shortLived, registeredToken} {
		if strings.Contains(text, secret) {
			t.Errorf("%s %s reports %q: %s", r.Method, r.Path, secret, text)
		}
	}
	return e
}
