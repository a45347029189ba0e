// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

func route(change func(*Route)) Route {
	r := Route{
		Method: http.MethodGet, Path: "/things/{name}", Operation: "getThing", Doc: "get a thing",
		Returns:    dashboardv1alpha1.Envelope{},
		Parameters: map[string]string{"name": "the name"},
		Endpoint:   Self(func(*Request, user.Info) (Result, error) { return Result{}, nil }),
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestAddRefusesWhatIsNotComplete(t *testing.T) {
	table := &Table{}
	if err := table.Add(route(nil)); err != nil {
		t.Fatalf("the template of the cases must be good: %v", err)
	}
	for name, change := range map[string]func(*Route){
		"no access rule":         func(r *Route) { r.Endpoint = Endpoint{} },
		"no operation":           func(r *Route) { r.Operation = "" },
		"no documentation":       func(r *Route) { r.Doc = "" },
		"no response":            func(r *Route) { r.Returns = nil },
		"undocumented parameter": func(r *Route) { r.Parameters = nil },
		"operation of another":   func(*Route) {},
	} {
		r := route(func(r *Route) {
			if name != "operation of another" {
				r.Operation += "2"
			}
			change(r)
		})
		if err := table.Add(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestOnlyPublicEndpointsServeTheAnonymous verifies that only public endpoints serve anonymous requests, even if the
// filters accept them.
func TestOnlyPublicEndpointsServeTheAnonymous(t *testing.T) {
	entered := 0
	enter := func() (Result, error) { entered++; return Result{}, nil }
	endpoints := map[Rule]Endpoint{
		RuleSelf: Self(func(*Request, user.Info) (Result, error) { return enter() }),
		RuleAsCaller: AsCaller(func(*Request, user.Info) (int, error) { entered++; return 0, nil },
			func(*Request, int) (Result, error) { return enter() }),
		RuleReviewed: Reviewed(func(*Request, user.Info) (int, error) { entered++; return 0, nil },
			func(*Request, int) (Result, error) { return enter() }),
	}
	for _, u := range []user.Info{
		nil, &user.DefaultInfo{}, &user.DefaultInfo{Name: user.Anonymous},
		&user.DefaultInfo{Name: "x", Groups: []string{user.AllUnauthenticated}},
	} {
		ctx := t.Context()
		if u != nil {
			ctx = genericapirequest.WithUser(ctx, u)
		}
		for rule, endpoint := range endpoints {
			if endpoint.Rule() != rule {
				t.Errorf("the rule of %s is %s", rule, endpoint.Rule())
			}
			_, err := endpoint.serve(&Request{Request: httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)})
			if err == nil {
				t.Errorf("%s serves %v", rule, u)
			}
		}
	}
	if entered != 0 {
		t.Errorf("handlers were entered %d times", entered)
	}
}

// TestUnknownOptions verifies that endpoints reject unknown options:
//   - A DELETE request must not have unknown query parameters.
//   - The body of a DELETE request must not have unknown fields.
//   - A POST or PUT request must not have the query parameter dryRun if the route does not support dry runs.
func TestUnknownOptions(t *testing.T) {
	served := 0
	serve := func() (Result, error) { served++; return Result{}, nil }
	endpoints := []Endpoint{
		Self(func(*Request, user.Info) (Result, error) { return serve() }),
		AsCaller(func(*Request, user.Info) (int, error) { return 0, nil },
			func(*Request, int) (Result, error) { return serve() }),
		Reviewed(func(*Request, user.Info) (int, error) { return 0, nil },
			func(*Request, int) (Result, error) { return serve() }),
	}
	ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"})
	request := func(method, query, body string) *Request {
		inbound := httptest.NewRequestWithContext(ctx, method, "/users/bob"+query, nil)
		inbound.Body = NewBody([]byte(body))
		code, inBody := freshCode(inbound, RuleSelf)
		return &Request{Request: inbound, code: code, codeInBody: inBody, path: map[string]string{"user": "bob"},
			parameters: map[string]string{"user": "x", "limit": "x"}}
	}
	const deletion = http.MethodDelete
	for _, endpoint := range endpoints {
		form := request(deletion, "", `{"totpCode":"123456"}`)
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if _, err := endpoint.serve(form); envelope.As(err).Message != "send the body as application/json" {
			t.Errorf("%s: a form: %v", endpoint.Rule(), err)
		}
		for _, tc := range []struct{ method, query, body, field string }{
			{deletion, "?force=true", "", "force"}, {deletion, "?dryRun=All", "", "dryRun"},
			{deletion, "?limit=1&limit=2", "", "limit"}, {deletion, "?user=alice", "", "user"},
			{deletion, "", `{"dryRun":["All"]}`, "dryRun"},
			{deletion, "", `{"totpCode":"123456","preconditions":{}}`, "preconditions"},
			{deletion, "", `{"totpCode":123456}`, "totpCode"}, {deletion, "", "[]", "body"},
			{deletion, "", "x", "body"},
			{http.MethodPost, "?dryRun=All", "", "dryRun"}, {http.MethodPut, "?dryRun=", "{}", "dryRun"},
		} {
			_, err := endpoint.serve(request(tc.method, tc.query, tc.body))
			if e := envelope.As(err); e.Code != dashboardv1alpha1.CodeInvalid || e.Field != tc.field {
				t.Errorf("%s: %s %s %s: %v", endpoint.Rule(), tc.method, tc.query, tc.body, err)
			}
		}
		if served != 0 {
			t.Fatalf("%s served %d requests", endpoint.Rule(), served)
		}
		accepted := []*Request{
			request(deletion, "", ""), request(deletion, "?limit=1&user=bob", " \n"), request(deletion, "", `{}`),
			request(deletion, "", `{"totpCode":"123456"}`), request(http.MethodGet, "?dryRun=All", ""),
			request(http.MethodPost, "?force=true", `{"dryRun":["All"]}`),
		}
		for _, r := range accepted {
			if _, err := endpoint.serve(r); err != nil {
				t.Errorf("%s: %s %s: %v", endpoint.Rule(), r.Method, r.URL, err)
			}
		}
		if served != len(accepted) {
			t.Errorf("%s served %d of %d requests", endpoint.Rule(), served, len(accepted))
		}
		served = 0
	}
}

func TestAFailedReviewIsNotServed(t *testing.T) {
	ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"})
	r := &Request{Request: httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)}
	entered := false
	denied := envelope.New(dashboardv1alpha1.CodeForbidden, "no")
	for _, endpoint := range []Endpoint{
		Reviewed(func(*Request, user.Info) (int, error) {
			return 0, denied
		}, func(*Request, int) (Result, error) { entered = true; return Result{}, nil }),
		AsCaller(func(*Request, user.Info) (int, error) {
			return 0, denied
		}, func(*Request, int) (Result, error) { entered = true; return Result{}, nil }),
	} {
		if _, err := endpoint.serve(r); envelope.As(err).Code != dashboardv1alpha1.CodeForbidden || entered {
			t.Errorf("got %v, entered %v", err, entered)
		}
	}
}

func TestPublicIsExact(t *testing.T) {
	table := &Table{}
	public := route(func(r *Route) {
		r.Method, r.Path, r.Operation = http.MethodPost, "/auth/login", "login"
		r.Endpoint = Public(func(*Request) (Result, error) { return Result{}, nil })
	})
	if err := table.Add(route(nil), public); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		method, path string
		want         bool
	}{
		{http.MethodPost, "/auth/login", true}, {http.MethodGet, "/auth/login", false},
		{http.MethodPost, "/auth/login/", false},
		{http.MethodPost, "/auth/Login", false}, {http.MethodPost, "/auth", false},
		{http.MethodGet, "/things/login", false}, {http.MethodPost, "", false},
	} {
		if got := table.IsPublic(tc.method, tc.path); got != tc.want {
			t.Errorf("%s %s: %v, want %v", tc.method, tc.path, got, tc.want)
		}
	}
}

func TestReadJSON(t *testing.T) {
	type body struct {
		Name  string `json:"name"`
		Count int    `json:"count"`
	}
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	for name, tc := range map[string]struct {
		contentType, body string
		want              dashboardv1alpha1.Code
		field             string
	}{
		"good":                 {"application/json", `{"name":"a"}`, 0, ""},
		"charset":              {"application/json; charset=utf-8", `{"name":"a"}`, 0, ""},
		"no content type":      {"", `{"name":"a"}`, 0, ""},
		"form":                 {"application/x-www-form-urlencoded", `{"name":"a"}`, 40002, "Content-Type"},
		"text":                 {"text/plain", `{"name":"a"}`, 40002, "Content-Type"},
		"bad content type":     {";;", `{"name":"a"}`, 40002, "Content-Type"},
		"empty":                {"application/json", ``, 40001, "body"},
		"blank":                {"application/json", " \n", 40001, "body"},
		"not JSON":             {"application/json", `name=a`, 40002, "body"},
		"two documents":        {"application/json", `{"name":"a"}{"name":"b"}`, 40002, "body"},
		"unknown field":        {"application/json", `{"nam":"a"}`, 40002, "nam"},
		"other case":           {"application/json", `{"Name":"a"}`, 40002, "Name"},
		"field twice":          {"application/json", `{"name":"a","name":"b"}`, 40002, "name"},
		"wrong type":           {"application/json", `{"name":1}`, 40002, "name"},
		"too deep":             {"application/json", deep, 40002, "body"},
		"deep in a string":     {"application/json", `{"name":"` + strings.Repeat("[", 200) + `\""}`, 0, ""},
		"large integer":        {"application/json", `{"count":9223372036854775808}`, 40002, "count"},
		"no UTF-8":             {"application/json", "{\"name\":\"\xff\"}", 40002, "name"},
		"half a pair":          {"application/json", `{"name":"\ud800"}`, 40002, "name"},
		"number out of bounds": {"application/json", `{"count":1e99}`, 40002, "count"},
		"a list":               {"application/json", `[]`, 40002, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Request{Request: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/",
				strings.NewReader(tc.body))}
			r.Header.Set("Content-Type", tc.contentType)
			err := r.ReadJSON(&body{})
			if tc.want == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if e := envelope.As(err); e.Code != tc.want || e.Field != tc.field {
				t.Errorf("got %d at %q, want %d at %q (%v)", e.Code, e.Field, tc.want, tc.field, err)
			}
		})
	}
}

// TestDecodePatience verifies that the server does not decode the request body of a user who has recently used too much
// processor time. The request fails with the code TooManyRequests.
func TestDecodePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := budget.NewShared(budget.Options{Total: 1 << 20, Work: userlimit.NewWork()})
		account := memory.Account("alice", 0)
		defer account.Close()
		r := &Request{Request: httptest.NewRequestWithContext(budget.WithAccount(t.Context(), account), http.MethodPost,
			"/", strings.NewReader(`{}`))}
		account.Charge(time.Minute)
		err := r.ReadJSON(&struct{}{})
		if e := envelope.As(err); err == nil || e.Code != dashboardv1alpha1.CodeTooManyRequests ||
			e.RetryAfterSeconds == 0 {
			t.Errorf("the body was decoded: %v", err)
		}
		time.Sleep(time.Hour)
		if err := r.ReadJSON(&struct{}{}); err != nil {
			t.Errorf("the body was not decoded: %v", err)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"username":"a","password":"b"}`))
	f.Add([]byte(`[[[["\""]]]]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var into dashboardv1alpha1.LoginRequest
		err := DecodeJSON(body, &into)
		if err != nil && envelope.As(err).Code/1000 != 40 {
			t.Errorf("%q: %v", body, err)
		}
	})
}

// TestRefusalsOfStrangersAreLeftToTheFilter verifies that public endpoints do not write the body of a 401 response, for
// example after a failed login. An HTTP filter writes the body after a delay.
func TestRefusalsOfStrangersAreLeftToTheFilter(t *testing.T) {
	forbidden := envelope.New(dashboardv1alpha1.CodeForbidden, "you may not do this")
	for _, c := range []struct {
		rule   Rule
		err    *envelope.Error
		status int
	}{
		{RulePublic, envelope.Unauthenticated(), http.StatusUnauthorized},
		{RulePublic, forbidden, http.StatusOK},
		{RuleSelf, envelope.Unauthenticated(), http.StatusOK},
	} {
		state, recorder := envelope.NewState(), httptest.NewRecorder()
		writeFailure(envelope.WithState(t.Context(), state), recorder, c.rule, c.err)
		if left := state.Failure() == c.err; recorder.Code != c.status || left != (recorder.Body.Len() == 0) {
			t.Errorf("%s, %v: HTTP %d and %q, left to the filter: %t", c.rule, c.err, recorder.Code,
				recorder.Body, left)
		}
	}
}
