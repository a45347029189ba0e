// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

type response struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
	Meta    struct {
		RequestID         string `json:"requestId"`
		Field             string `json:"field"`
		RetryAfterSeconds int    `json:"retryAfterSeconds"`
	} `json:"meta"`
}

var requestID = regexp.MustCompile(`^req_[0-9A-HJKMNP-TV-Z]{26}$`)

// neverShared tells WithEnvelope whether other clients use the connection of a request, too. It always returns false.
func neverShared(*http.Request) bool { return false }

// send sends a request to handler through WithEnvelope, and returns the response. It verifies the properties that each
// response of the API must have.
func send(t *testing.T, handler http.Handler, r *http.Request) response {
	t.Helper()
	recorder := httptest.NewRecorder()
	WithEnvelope(handler, neverShared, nil).ServeHTTP(recorder, r)
	result := recorder.Result()
	defer result.Body.Close()
	var got response
	decoder := json.NewDecoder(result.Body)
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Errorf("more than one JSON document in the body")
	}
	if result.StatusCode != http.StatusOK {
		t.Errorf("HTTP status %d, want 200", result.StatusCode)
	}
	for name, want := range map[string]string{
		"Content-Type":           "application/json; charset=utf-8",
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
		"X-Request-Id":           got.Meta.RequestID,
		"Location":               "",
		"Www-Authenticate":       "",
	} {
		if value := result.Header.Get(name); value != want {
			t.Errorf("header %s is %q, want %q", name, value, want)
		}
	}
	if !requestID.MatchString(got.Meta.RequestID) {
		t.Errorf("request id %q", got.Meta.RequestID)
	}
	if len(got.Data) == 0 {
		t.Error("there is no data, not even null")
	}
	return got
}

func request(method, target string) *http.Request {
	return httptest.NewRequestWithContext(context.Background(), method, target, http.NoBody)
}

// TestAnyStatusOfTheChainBecomesAnEnvelope verifies that WithEnvelope replaces errors and redirects from other filters
// by envelopes. An envelope is the JSON object in each response of KubeVision's API.
func TestAnyStatusOfTheChainBecomesAnEnvelope(t *testing.T) {
	for status, want := range map[int]int{
		301: 40400, 302: 40400, 307: 40400, 400: 40002, 401: 40100, 403: 40300, 404: 40400, 405: 40400, 406: 40002,
		409: 40002, 413: 40002,
		415: 40002, 418: 40002, 429: 42900, 500: 50000, 501: 50000, 503: 50200, 504: 50200,
	} {
		got := send(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com")
			w.Header().Set("Www-Authenticate", "Basic")
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "6")
			w.Header().Set("Cache-Control", "public")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("secret"))
		}), request(http.MethodGet, "/api/v1/x"))
		if got.Code != want {
			t.Errorf("status %d: code %d, want %d", status, got.Code, want)
		}
		if strings.Contains(got.Message, "secret") {
			t.Errorf("status %d: the body of the chain is in the message", status)
		}
		if want == 42900 && got.Meta.RetryAfterSeconds != 7 {
			t.Errorf("retryAfterSeconds is %d, want 7", got.Meta.RetryAfterSeconds)
		}
	}
}

// TestClientsThatHangUp verifies that a request whose client has disconnected does not count as a failure in the
// metrics. The filters of k8s.io/apiserver respond to the request with HTTP 504.
func TestClientsThatHangUp(t *testing.T) {
	legacyregistry.MustRegister(Metrics()...)
	ctx, hangUp := context.WithCancel(t.Context())
	r := request(http.MethodGet, "/api/v1/x").WithContext(ctx)
	got := send(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		envelope.StateFrom(r.Context()).SetRoute("hang up")
		hangUp()
		w.WriteHeader(http.StatusGatewayTimeout)
	}), r)
	if got.Code != 50200 {
		t.Errorf("code %d, want 50200", got.Code)
	}
	want := map[string]float64{codeCanceled: 1, "50000": 0, "50200": 0}
	for code, n := range want {
		if got, err := testutil.GetCounterMetricValue(requests.WithLabelValues("hang up", http.MethodGet,
			code)); err != nil || got != n {
			t.Errorf("%s is counted %v times (%v), want %v", code, got, err, n)
		}
	}
}

func TestNoAnswerIsAnInternalError(t *testing.T) {
	if got := send(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		request(http.MethodGet, "/api/v1/x")); got.Code != 50000 {
		t.Errorf("code %d, want 50000", got.Code)
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"before an answer": func(http.ResponseWriter, *http.Request) { panic("secret") },
		"after the chain's answer": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			panic("secret")
		},
	} {
		if got := send(t, handler, request(http.MethodGet, "/api/v1/x")); got.Code != 50000 ||
			strings.Contains(got.Message, "secret") {
			t.Errorf("%s: code %d, %q", name, got.Code, got.Message)
		}
	}
}

// TestAnAnswerThatHasBegunIsCut verifies that the connection of an incomplete response is aborted, so that no client
// treats the response as complete.
func TestAnAnswerThatHasBegunIsCut(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a panic":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")); panic("x") },
		"on purpose": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the connection would go on")
				}
			}()
			WithEnvelope(handler, neverShared, nil).ServeHTTP(httptest.NewRecorder(),
				request(http.MethodGet, "/api/v1/x"))
		})
	}
}

func TestEnvelopesPassAsTheyAre(t *testing.T) {
	got := send(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		envelope.WriteData(r.Context(), w, map[string]string{"a": "<b>"}, dashboardv1alpha1.Meta{})
	}), request(http.MethodGet, "/api/v1/x"))
	if got.Code != 0 || string(got.Data) != `{"a":"\u003cb\u003e"}` {
		t.Errorf("got %+v", got)
	}
}

func TestTheDirectPrefixIsRewritten(t *testing.T) {
	for target, want := range map[string]string{
		"/api/v1/clusters?x=1": "/apis/dashboard.kubevision.io/v1alpha1/clusters",
		"/api/v1":              "/apis/dashboard.kubevision.io/v1alpha1/-",
		"/api/v1/clusters?timeout=1ms&watch=true&x=1":     "/apis/dashboard.kubevision.io/v1alpha1/clusters",
		"/apis/dashboard.kubevision.io/v1alpha1/clusters": "/apis/dashboard.kubevision.io/v1alpha1/clusters",
	} {
		var got *http.Request
		send(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = r
		}), request(http.MethodGet, target))
		if got == nil || got.URL.Path != want {
			t.Errorf("%s: got %v, want the path %s", target, got, want)
		}
		if got != nil && strings.Contains(target, "?") && got.URL.RawQuery != "x=1" {
			t.Errorf("%s: the query is %q", target, got.URL.RawQuery)
		}
	}
}

func TestWhatLiesOutsideIsLeftAlone(t *testing.T) {
	for _, target := range []string{
		"/", "/api", "/apis", "/apis/dashboard.kubevision.io", "/apis/dashboard.kubevision.io/v1alpha1",
		"/apis/dashboard.kubevision.io/v1alpha1/", "/readyz", "/metrics", "/openapi/v3",
		"/api/v1beta1/x", "/apiv1", "/version",
	} {
		recorder := httptest.NewRecorder()
		WithEnvelope(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}), neverShared, nil).ServeHTTP(recorder, request(http.MethodGet, target))
		if recorder.Code != http.StatusTeapot {
			t.Errorf("%s: status %d, want the handler's own", target, recorder.Code)
		}
	}
}

func TestAmbiguousPathsReachNobody(t *testing.T) {
	for _, path := range []string{
		"/clusters//pods", "/clusters/", "//clusters", "/clusters/../users", "/clusters/..", "/clusters/./x",
		"/clusters/a%2fb", "/clusters/a%2Fb",
		"/clusters/%2e%2e/x", "/clusters/..%2f..", "/clusters/%252e", "/clusters/a%5cb", "/clusters/a%00",
		"/clusters/a%0d%0ab", "/clusters/a%7f", "/clusters/100%25",
	} {
		reached := false
		got := send(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			reached = true
		}), request(http.MethodGet, "/api/v1"+path))
		if got.Code != 40002 || reached {
			t.Errorf("%s: code %d, reached %v; want 40002 and nobody", path, got.Code, reached)
		}
	}
}

func TestCredentialsInTheURLReachNobody(t *testing.T) {
	for query, want := range map[string]int{
		"token=x": 40100, "Token=x": 40100, "access_token=": 40100, "a=b&Authorization=Bearer+x": 40100,
		"tokens=x": 50000, "ticket=x;a=b": 40002, "token=x%zz": 40002, "a=%": 40002,
	} {
		reached := false
		got := send(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			reached = true
		}), request(http.MethodGet, "/api/v1/users/me?"+query))
		if got.Code != want || reached != (want == 50000) {
			t.Errorf("?%s: code %d, reached %v", query, got.Code, reached)
		}
	}
}

func TestImpersonationHeadersReachNobody(t *testing.T) {
	for _, header := range []string{"Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-X",
		"impersonate-anything", "IMPERSONATE-USER"} {
		for _, target := range []string{"/api/v1/x", "/apis/dashboard.kubevision.io/v1alpha1/x"} {
			r := request(http.MethodGet, target)
			r.Header[header] = []string{"admin"} // Header.Set would change the case of the name
			reached := false
			if got := send(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }),
				r); got.Code != 40002 || reached {
				t.Errorf("%s at %s: code %d, reached %v; want 40002 and nobody", header, target, got.Code, reached)
			}
		}
		r := request(http.MethodGet, "/metrics")
		r.Header[header] = []string{"admin"}
		recorder := httptest.NewRecorder()
		WithEnvelope(http.NotFoundHandler(), neverShared, nil).ServeHTTP(recorder, r)
		if recorder.Code != http.StatusBadRequest {
			t.Errorf("%s at /metrics: status %d, want 400", header, recorder.Code)
		}
	}
}

func FuzzMalformed(f *testing.F) {
	f.Add("/api/v1/clusters/a")
	f.Add("/api/v1/%2e%2e/x")
	f.Add("/api/v1//")
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost/api/v1/"+target,
			http.NoBody)
		if err != nil || malformed(r) != "" {
			return
		}
		for i, segment := range strings.Split(r.URL.Path, "/") {
			if (i > 0 && segment == "") || segment == "." || segment == ".." ||
				strings.ContainsAny(segment, "\\%\x00\r\n") {
				t.Errorf("%q has the segment %q", target, segment)
			}
		}
		if strings.Count(r.URL.Path, "/") != strings.Count(r.URL.EscapedPath(), "/") {
			t.Errorf("%q has other segments encoded than decoded", target)
		}
	})
}

// TestASharedConnectionStaysOpen verifies that an unauthenticated request closes its connection only if no other client
// uses the connection.
func TestASharedConnectionStaysOpen(t *testing.T) {
	closing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		envelope.WriteError(r.Context(), w, envelope.Unauthenticated())
	})
	for _, shared := range []bool{false, true} {
		recorder := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, dashboardv1alpha1.RootPath+"/users/me",
			http.NoBody)
		WithEnvelope(closing, func(*http.Request) bool { return shared }, nil).ServeHTTP(recorder, r)
		if closed := recorder.Header().Get("Connection") == "close"; closed == shared {
			t.Errorf("shared %t: the header Connection is %q", shared, recorder.Header().Get("Connection"))
		}
	}
}
