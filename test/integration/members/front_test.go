// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/environment"
)

// front is a proxy for the API server of a member. It records requests, and can respond to them itself.
type front struct {
	*httptest.Server

	next http.Handler
	// handle serves a request. If it is nil, requests are forwarded.
	handle func(next http.Handler, w http.ResponseWriter, r *http.Request)

	mu   sync.Mutex
	open map[net.Conn]bool
	seen int
}

func newFront(tb testing.TB, member *plane) *front {
	tb.Helper()
	config := member.AnonymousConfig()
	transport, err := rest.TransportFor(config)
	if err != nil {
		tb.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		tb.Fatal(err)
	}
	f := &front{open: map[net.Conn]bool{}, next: environment.ReadBodies(&httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.EnableHTTP2 = true
	f.Config.ConnState = f.state
	f.StartTLS()
	tb.Cleanup(f.Close)
	return f
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen++
	handle := f.handle
	f.mu.Unlock()
	if handle != nil {
		handle(f.next, w, r)
		return
	}
	f.next.ServeHTTP(w, r)
}

func (f *front) state(c net.Conn, s http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == http.StateClosed || s == http.StateHijacked {
		delete(f.open, c)
		return
	}
	f.open[c] = true
}

func (f *front) set(handle func(next http.Handler, w http.ResponseWriter, r *http.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handle = handle
}

func (f *front) traffic() (connections, requests int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open), f.seen
}

func (f *front) config(token string) *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	return &rest.Config{Host: f.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
}

// registerThroughFront starts a proxy for a cluster, and registers the cluster with the address of the proxy.
// registerThroughFront waits until the registration is Ready.
func registerThroughFront(tb testing.TB, member *plane) (*front, *kubevisionv1alpha1.KubeVisionCluster) {
	tb.Helper()
	f := newFront(tb, member)
	c := register(tb, f.config(member.token(tb)), nil)
	ready(tb, c)
	return f, c
}

// token returns a token of a ServiceAccount with all rights on the cluster. The token is valid for an hour.
func (p *plane) token(tb testing.TB) string {
	tb.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault,
		Name: fixture.Name("registered")}}
	p.set().Create(tb, account)
	p.set().Create(tb, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace,
			Name: account.Name}},
	})
	return tokenOf(tb, p.Config(), account)
}

// tokenOf returns a token that is valid for an hour.
func tokenOf(tb testing.TB, config *rest.Config, account *corev1.ServiceAccount) string {
	tb.Helper()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	var answer *authenticationv1.TokenRequest
	fixture.Eventually(tb, "get a token of "+account.Name, func(ctx context.Context) (err error) {
		answer, err = kube.CoreV1().ServiceAccounts(account.Namespace).CreateToken(
			ctx, account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		return err
	})
	return answer.Status.Token
}
