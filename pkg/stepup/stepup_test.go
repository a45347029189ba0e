// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package stepup

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// TestSensitive verifies that IsSensitive returns true only for requests that require a fresh code of the second
// factor. docs/authentication.md lists these requests.
func TestSensitive(t *testing.T) {
	const (
		kubevision = "/apis/kubevision.io/v1alpha1/"
		rbac       = "/apis/rbac.authorization.k8s.io/v1/"
		system     = "/api/v1/namespaces/kubevision-system/"
		kube       = "/api/v1/namespaces/kube-system/"
		team       = "/api/v1/namespaces/team/"
		apps       = "/apis/apps/v1/namespaces/"
	)
	for request, want := range map[string]bool{
		"POST " + kubevision + "kubevisionrolebindings":                                       true,
		"PATCH " + kubevision + "kubevisionusers/alice":                                       true,
		"PUT " + kubevision + "kubevisionusers/alice/status":                                  true,
		"DELETE " + kubevision + "kubevisionsessions":                                         true,
		"GET " + kubevision + "kubevisionusers":                                               false,
		"GET " + kubevision + "kubevisionusers?watch=1":                                       false,
		"PATCH " + kubevision + "kubevisionusers/alice?dryRun=All":                            false,
		"PATCH " + kubevision + "kubevisionusers/alice?dryRun=all":                            true,
		"PATCH " + kubevision + "kubevisionusers/alice?dryRun=":                               true,
		"PATCH " + kubevision + "kubevisionusers/alice?dryRun=All&dryRun=x":                   true,
		"POST /apis/dashboard.kubevision.io/v1alpha1/users?dryRun=All":                        true,
		"POST " + rbac + "clusterrolebindings":                                                true,
		"PATCH " + rbac + "namespaces/team/rolebindings/x":                                    true,
		"PUT " + rbac + "clusterroles/view":                                                   true,
		"POST /apis/rbac.authorization.k8s.io/v1beta1/clusterroles":                           true,
		"POST /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations":          true,
		"DELETE /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/x":          true,
		"POST /apis/apiregistration.k8s.io/v1/apiservices":                                    true,
		"PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/x":                     true,
		"PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval":              true,
		"PATCH /apis/certificates.k8s.io/v1/certificatesigningrequests/x/status":              true,
		"POST " + team + "serviceaccounts/default/token":                                      true,
		"POST " + team + "serviceaccounts/default/token?dryRun=All":                           true,
		"POST " + team + "serviceaccounts":                                                    false,
		"PATCH " + system + "secrets/alice-password":                                          true,
		"DELETE " + kube + "pods":                                                             true,
		"POST " + kube + "pods":                                                               true,
		"POST " + kube + "pods/x/eviction":                                                    false,
		"POST " + kube + "pods/x/binding":                                                     true,
		"GET " + kube + "pods/x/log":                                                          false,
		"GET " + kube + "pods/x/exec?command=sh":                                              true,
		"GET " + system + "services/x/proxy/metrics":                                          true,
		"POST " + team + "pods/x/exec":                                                        false,
		"GET /api/v1/nodes/n1/proxy/pods":                                                     true,
		"PATCH " + apps + "kubevision-system/deployments/x/scale":                             true,
		"PATCH " + apps + "kube-system/daemonsets/x":                                          true,
		"PATCH " + apps + "team/deployments/x":                                                false,
		"POST /apis/example.com/v1/namespaces/kube-system/things":                             true,
		"POST /api/v1/namespaces":                                                             true,
		"PATCH /api/v1/namespaces/team":                                                       true,
		"PUT /api/v1/namespaces/team/finalize":                                                true,
		"DELETE /api/v1/namespaces/kube-system":                                               true,
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews":                         false,
		"POST /apis/authorization.k8s.io/v1/namespaces/kube-system/localsubjectaccessreviews": false,
		"PATCH /api/v1/nodes/n1":                                                              false,
		"DELETE " + team + "pods/x":                                                           false,
		"POST /api/v1/proxy/namespaces/team/pods/x":                                           true,
		"POST /metrics": true,
		"GET /metrics":  false,
		"POST /api/v1/namespaces//kube-system/pods":        true,
		"POST /api/v1/namespaces/team/../kube-system/pods": true,
		"POST /api/v1/namespaces/kube%2Dsystem/pods":       true,
		"POST /api/v1/namespaces/team%2Fpods":              true,
		"BREW " + kubevision + "kubevisionusers":           true,
	} {
		t.Run(request, func(t *testing.T) {
			if got := IsSensitive(newRequest(t, request, "")); got != want {
				t.Errorf("sensitive: %t, want %t", got, want)
			}
		})
	}
}

// TestSensitiveBodies verifies that IsSensitive evaluates the body of a request if the method and the URL are not
// sufficient. The body can still be read afterwards.
func TestSensitiveBodies(t *testing.T) {
	const secrets, user = "/api/v1/namespaces/team/secrets", "/apis/kubevision.io/v1alpha1/kubevisionusers/alice"
	for name, tc := range map[string]struct {
		request, body string
		want          bool
	}{
		"a Secret": {"POST " + secrets, `{"type":"Opaque","data":{"a":"Yg=="}}`, false},
		"a token":  {"POST " + secrets, `{"type":"kubernetes.io/service-account-token"}`, true},
		"a token, written otherwise": {"POST " + secrets,
			`{"type":"kubernetes.io\/service\u002daccount-token"}`, true},
		"a token, hidden by a second type": {"POST " + secrets,
			`{"type":"kubernetes.io/service-account-token","type":"Opaque"}`, true},
		"a token, on trial": {"POST " + secrets + "?dryRun=All",
			`{"type":"kubernetes.io/service-account-token"}`, false},
		"another account": {"PATCH " + secrets + "/x",
			`{"metadata":{"annotations":{"kubernetes.io/service-account.name":"admin"}}}`, true},
		"another account, by JSON patch": {"PATCH " + secrets + "/x",
			`[{"op":"add","path":"/metadata/annotations/kubernetes.io~1service-account.name","value":"a"}]`, true},
		"a malformed body": {"PUT " + secrets + "/x", "type: Opaque", true},
		"reading":          {"GET " + secrets + "/x", "type: Opaque", false},
		"a deletion on trial": {"DELETE " + user,
			`{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`, false},
		"a deletion, the query ignored": {"DELETE " + user + "?dryRun=All",
			`{"kind":"DeleteOptions","apiVersion":"v1"}`, true},
		"a deletion in another case": {"DELETE " + user,
			`{"kind":"DeleteOptions","apiVersion":"v1","DryRun":["All"]}`, true},
		"a deletion, by the query":         {"DELETE " + user + "?dryRun=All", "", false},
		"a deletion with a malformed body": {"DELETE " + user, "dryRun: [All]", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(t, tc.request, tc.body)
			if got := IsSensitive(r); got != tc.want {
				t.Errorf("sensitive: %t, want %t", got, tc.want)
			}
			if read, err := body(r); err != nil || string(read) != tc.body {
				t.Errorf("the body is %q afterwards (%v)", read, err)
			}
		})
	}
	once := newRequest(t, "POST "+secrets, `{}`)
	once.GetBody = nil
	if !IsSensitive(once) {
		t.Error("a body that can be read only once is trusted")
	}
}

func newRequest(t *testing.T, line, body string) *http.Request {
	t.Helper()
	method, target, _ := strings.Cut(line, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, "https://cluster.example"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRequire verifies that concurrent calls of Require within one HTTP request check the user's code only once.
// Outside of an HTTP request, Require returns an error.
func TestRequire(t *testing.T) {
	if err := Require(t.Context()); envelope.As(err).Code != 50000 {
		t.Errorf("without a request: %v", err)
	}
	var asked atomic.Int32
	wrong := errors.New("wrong")
	for _, want := range []error{nil, wrong} {
		asked.Store(0)
		ctx := WithProof(t.Context(), func() error {
			asked.Add(1)
			return want
		})
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if err := Require(ctx); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		}
		group.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	}
}
