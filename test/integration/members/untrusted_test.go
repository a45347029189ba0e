// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// clusterRequests returns API requests that require KubeVision to call the registered cluster.
func clusterRequests(clusterName string) []wire.Request {
	base := wire.DirectPath + "/clusters/" + clusterName
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"one","namespace":"default"}}`
	return append(podRequests(clusterName),
		wire.Request{Method: http.MethodPost, Path: base + "/namespaces/default/resources/pods/dry-run", Body: pod},
		wire.Request{Method: http.MethodPost, Path: base + "/resources/batch-delete",
			Body: `[{"resource":"pods","namespace":"default","name":"one"}]`},
		wire.Request{Path: base + "/search?q=one&kinds=pods&namespace=default"},
	)
}

// TestUntypedAnswers verifies error responses of a registered cluster that contain no Status object. KubeVision must
// not return text from the error response. KubeVision's error code must correspond to the HTTP status of the error
// response.
func TestUntypedAnswers(t *testing.T) {
	typed := func(code int, kind, version string) string {
		return fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"status":"Failure","message":%q,"reason":"Forbidden","code":%d}`,
			kind, version, leak, code)
	}
	a := newAiling(t)
	p, c := onStandin(t, a.standin)
	for status, want := range map[int]int{
		http.StatusForbidden: wire.Forbidden, http.StatusNotAcceptable: wire.Invalid,
		http.StatusUnsupportedMediaType: wire.Invalid,
		http.StatusConflict:             wire.Stale, http.StatusUnprocessableEntity: wire.Rejected,
		http.StatusNotFound:   wire.NotFound,
		http.StatusBadRequest: wire.Invalid, http.StatusInternalServerError: wire.Unreachable,
		http.StatusFound: wire.Unreachable,
	} {
		for name, fault := range map[string]http.HandlerFunc{
			"text": answering(status, "text/plain", leak, "Location", "https://192.0.2.1/"+leak, "Warning",
				`299 - "`+leak+`"`),
			"HTML":         answering(status, "text/html", "<b>"+leak+"</b>", "Location", "%zz"+leak),
			"JSON":         answering(status, "application/json", `{"message":"`+leak+`"}`),
			"another kind": answering(status, "application/json", typed(status, "Pod", "v1")),
			"as text":      answering(status, "text/plain", typed(status, "Status", "v1")),
		} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				a.fault.Store(&fault)
				for _, r := range clusterRequests(c.Name) {
					r.Bearer = p.token
					response := p.client.Send(t, r)
					text := fmt.Sprint(response.Header) + string(response.Body)
					for _, part := range []string{leak, "192.0.2.1"} {
						if strings.Contains(text, part) {
							t.Errorf("%s %s reports %q: %s", r.Method, r.Path, part, text)
						}
					}
					if e := response.Envelope(t); r.Method == http.MethodGet && strings.HasSuffix(r.Path, "/one") &&
						e.Code != want && status != http.StatusForbidden {
						t.Errorf("%s %s: code %d (%s), want %d", r.Method, r.Path, e.Code, e.Message, want)
					}
				}
			})
		}
	}
}

// TestTypedAnswers verifies that KubeVision returns each message or warning of a registered cluster in one line.
// Control characters must be removed, and long texts must be truncated.
func TestTypedAnswers(t *testing.T) {
	const dirty, clean = "first\nsecond\x1b[31m\u202ethird\u200b", "first second[31mthird"
	a := newAiling(t)
	p, c := onStandin(t, a.standin)
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code:   http.StatusUnprocessableEntity,
		Reason: metav1.StatusReasonInvalid, Message: dirty + strings.Repeat("x", 100_000),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.fault.Store(new(answering(http.StatusUnprocessableEntity, "application/json", string(body))))
	for _, r := range clusterRequests(c.Name) {
		r.Bearer = p.token
		response := p.client.Send(t, r)
		text := string(response.Body)
		for _, part := range []string{"\u202e", "\u200b", `\n`, `\u001b`, `\u202e`, strings.Repeat("x", 10_000)} {
			if strings.Contains(text, part) {
				t.Errorf("%s %s has %+q: %.200s", r.Method, r.Path, part, text)
			}
		}
		if r.Method == http.MethodPost && !strings.Contains(text, clean) {
			t.Errorf("%s %s does not contain %q: %.500s", r.Method, r.Path, clean, text)
		}
	}
	a.fault.Store(new(answering(http.StatusCreated, "application/json", podRequests(c.Name)[2].Body,
		"Warning", `299 - "be`+"\u202e"+`ware", 299 - "`+strings.Repeat("x", 10_000)+`"`)))
	create := podRequests(c.Name)[2]
	create.Bearer = p.token
	var created struct{ Meta struct{ Warnings []string } }
	if err := json.Unmarshal(p.client.Call(t, create).Want(t, wire.OK).Raw, &created); err != nil {
		t.Fatal(err)
	}
	if w := created.Meta.Warnings; len(w) != 2 || w[0] != "beware" || len(w[1]) > 2000 {
		t.Errorf("the warnings are %.300q", w)
	}
}

// TestNoAPIServer verifies that the registration of a server that is not an API server does not become Ready. In each
// subtest, the server sends one response to all requests. KubeVision must not reveal the text of this response.
func TestNoAPIServer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"an empty object": answering(http.StatusOK, "application/json", `{}`),
		"a created object": answering(http.StatusCreated, "application/json",
			`{"gitVersion":"`+leak+`","kind":"`+leak+`"}`),
		"HTML":              answering(http.StatusOK, "text/html", "<html>"+leak+"</html>"),
		"nothing":           answering(http.StatusOK, "application/json", ""),
		"not found":         answering(http.StatusNotFound, "text/plain", leak),
		"unauthorized":      answering(http.StatusUnauthorized, "text/html", leak),
		"forbidden":         answering(http.StatusForbidden, "text/plain", leak),
		"an error":          answering(http.StatusInternalServerError, "text/plain", leak),
		"a redirect":        answering(http.StatusFound, "text/html", leak, "Location", "https://192.0.2.1/"+leak),
		"a failure with OK": answering(http.StatusOK, "application/json", status(http.StatusOK, "")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandin(t)
			s.answerAll(answer)
			c := register(t, s.config(registeredToken), nil)
			condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse, "")
			condition(t, c, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, "")
			if found := meta.FindStatusCondition(c.Status.Conditions,
				kubevisionv1alpha1.ClusterCredentialsCondition); found == nil || found.Status == metav1.ConditionTrue {
				t.Errorf("the credentials are %+v", found)
			}
			p := login(t, "examiner")
			set().Bind(t, "examiner", fixture.Grant{
				Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
				Unconnected: true,
			})
			p.becomes(t, fixture.Patience, c.Name, "/namespaces/default/resources/pods", wire.Unreachable)
			e := p.client.Call(t, wire.Request{Method: http.MethodPost,
				Path: wire.DirectPath + "/clusters/" + c.Name + "/test", Bearer: p.token}).Want(t, wire.OK)
			var got dashboardv1alpha1.ClusterTest
			e.Into(t, &got)
			if got.Message == "" || got.Reachable || got.CredentialsValid || got.ImpersonationReady ||
				got.Version != "" {
				t.Errorf("the test says %+v", got)
			}
			checkNoLeak(t, c, c, string(e.Raw), got.Message)
		})
	}
}

// checkNoLeak verifies that the status, the messages and the Events about the object contain no text from the responses
// of a registered cluster.
func checkNoLeak(t *testing.T, object client.Object, status any, messages ...string) {
	t.Helper()
	raw, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var all eventsv1.EventList
	if err := env.Client.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	messages = append(messages, string(raw))
	for i := range all.Items {
		if all.Items[i].Regarding.Name == object.GetName() {
			messages = append(messages, all.Items[i].Note)
		}
	}
	for _, text := range messages {
		if strings.Contains(text, leak) || strings.Contains(text, "192.0.2.1") {
			t.Errorf("it says %s", text)
		}
	}
}

// falseServer is a proxy for a real API server. A test can replace some responses of the API server.
type falseServer struct {
	*standin

	fault atomic.Pointer[func(*http.Request) http.HandlerFunc]
}

func newFalseServer(t *testing.T, genuine *rest.Config) *falseServer {
	t.Helper()
	target, err := url.Parse(genuine.Host)
	if err != nil {
		t.Fatal(err)
	}
	registered, err := rest.TransportFor(genuine)
	if err != nil {
		t.Fatal(err)
	}
	others, err := rest.TransportFor(rest.AnonymousClientConfig(genuine))
	if err != nil {
		t.Fatal(err)
	}
	proxyTo := func(next http.RoundTripper, registered bool) http.Handler {
		return environment.ReadBodies(&httputil.ReverseProxy{
			Transport: next, FlushInterval: -1,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				if registered {
					r.Out.Header.Del("Authorization")
				}
			},
		})
	}
	asRegistered, asOthers := proxyTo(registered, true), proxyTo(others, false)
	f := &falseServer{standin: &standin{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := f.fault.Load(); fault != nil {
			if how := (*fault)(r); how != nil {
				how(w, r)
				return
			}
		}
		if r.Header.Get("Authorization") == "Bearer "+registeredToken {
			asRegistered.ServeHTTP(w, r)
			return
		}
		asOthers.ServeHTTP(w, r)
	}))
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// TestControllersOfUntypedAnswers verifies that error responses of a registered cluster do not appear in conditions or
// events. The test checks KubeVisionClusters and KubeVisionRoleBindings.
func TestControllersOfUntypedAnswers(t *testing.T) {
	member := theOther(t)
	f := newFalseServer(t, member.Config())
	c := register(t, f.config(registeredToken), nil)
	ready(t, c)
	p := login(t, "bound")
	for name, answer := range map[string]http.HandlerFunc{
		"forbidden": answering(http.StatusForbidden, "text/plain", leak),
		"media":     answering(http.StatusUnsupportedMediaType, "text/html", leak),
		"an error":  answering(http.StatusInternalServerError, "text/plain", leak),
		"redirect":  answering(http.StatusPermanentRedirect, "text/plain", leak, "Location", "https://192.0.2.1/"+leak),
	} {
		t.Run(name, func(t *testing.T) {
			// The objects of the cluster itself are applied without a failure. Otherwise the cluster could become not
			// ready, and the binding would wait for it.
			f.fault.Store(new(func(r *http.Request) http.HandlerFunc {
				if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/namespaces/default/") {
					return answer
				}
				return nil
			}))
			defer f.fault.Store(nil)
			b := set().Bind(t, "bound", fixture.Grant{
				Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
				Namespaces: []string{"default"}, Unconnected: true,
			})
			fixture.Eventually(t, "wait for the failure to be in the status", func(ctx context.Context) error {
				if err := env.Client.Get(ctx, client.ObjectKeyFromObject(b), b); err != nil {
					return err
				}
				found := meta.FindStatusCondition(b.Status.Conditions, kubevisionv1alpha1.RoleBindingAppliedCondition)
				if found == nil || found.Reason != kubevisionv1alpha1.ReasonApplyFailed {
					return fmt.Errorf("the conditions are %+v", b.Status.Conditions)
				}
				return nil
			})
			checkNoLeak(t, b, b)
			if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
				t.Fatal(err)
			}
			checkNoLeak(t, c, c)
		})
	}
}
