// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package routes registers the endpoints of the dashboard's API. Each endpoint is created together with its access
// rule, and its handler gets only the access that the rule allows. The package decodes the bodies of requests,
// and rejects unknown fields. It also rejects an unknown query parameter if ignoring the parameter could do harm, for
// example dryRun. It limits the concurrent requests and responses of each user, ends responses that a client does not
// read, and supports ETags and compression.
//
// The package also determines which requests may open a stream. Only these requests may contain a ticket, which is a
// one-time credential in the URL.
package routes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/stepup"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Route is an endpoint with its method and path, and its documentation for OpenAPI.
type Route struct {
	// Method is the HTTP method.
	Method string
	// Path is relative to the root of the API, with parameters in braces: /clusters/{cluster}.
	Path string
	// Operation is the operation id in OpenAPI. It is unique in the API.
	Operation string
	// Doc describes the endpoint in one sentence.
	Doc string
	// Endpoint is the handler with its access rule.
	Endpoint Endpoint
	// Reads is a zero value of the Go type of the body, for OpenAPI, or nil if the endpoint has no body.
	Reads any
	// BodyOptional is true if the body may be omitted.
	BodyOptional bool
	// Returns is a zero value of the Go type of the response, which is an envelope. The OpenAPI document describes this
	// type.
	Returns any
	// Ambient is true if dashboards call the endpoint on every page.
	Ambient bool
	// DuringSetup is true if a user who is required to set up a second factor may call the endpoint before the set-up.
	DuringSetup bool
	// DuringPasswordChange is true if a user who is required to change the password may call the endpoint before the
	// change.
	DuringPasswordChange bool
	// Verb is the kind of stream that the route opens, for example streams.VerbExec, or empty if the route opens no
	// stream. Tickets and metrics contain the Verb.
	Verb string
	// Endless is true if the response has no time limit, for example a log that is followed. The response is not an
	// envelope, and is counted as a stream instead of a request.
	Endless bool
	// Events is true if the route opens a stream of server-sent events instead of a WebSocket.
	Events bool
	// Parameters contains the documentation of the path and query parameters, by name. Parameters that are not in Path
	// are query parameters. Table.Add documents the path parameters cluster and session if they are missing.
	Parameters map[string]string
	// Types contains the types of the query parameters that are not arbitrary strings, by name.
	Types map[string]Type
}

// Provider provides the routes of related endpoints. The fields of an implementation are the dependencies of its
// endpoints.
type Provider interface {
	Routes() []Route
}

// Table contains the registered routes, and serves them.
type Table struct {
	// PerUser bounds the number of concurrent requests of one user. Zero means DefaultPerUser.
	PerUser int
	// Prove verifies the one-time code of the second factor of u. It returns an error if the code is wrong, or if the
	// code is empty although u needs one. A user without a second factor needs no code.
	Prove func(r *http.Request, u user.Info, code string) error
	// Memory bounds the memory that authenticated requests hold, mainly for responses of clusters. Nil means no bound.
	Memory *budget.Budget
	// Streams serves the routes that open a stream.
	Streams *streams.Manager
	// PublicMemory bounds the memory that requests to public endpoints hold. It is separate from Memory, so that the
	// requests of authenticated users cannot prevent logins. Nil means no bound.
	PublicMemory *budget.Budget
	// Answers bounds the bytes of responses that are being sent, per user and in total. Nil means no bound.
	Answers *budget.Queue

	// answerTime is the time in which a client must receive a response, unless the response is small. Only tests set
	// it. Zero means one minute.
	answerTime time.Duration
	// rawWriteTimeout bounds the time for which one write to a Raw response waits for the client. Zero means 10
	// seconds. Only tests set it.
	rawWriteTimeout time.Duration
	routes          []Route
	fair            fairness
	// longRunning contains the routes that open a stream or whose response has no time limit. These few routes are
	// stored separately, because the HTTP filters search them several times for each request.
	longRunning []pattern
}

// Add registers routes. It returns an error if a route is invalid, for example without an access rule. It also returns
// an error if another route has the same operation id.
func (t *Table) Add(routes ...Route) error {
	for _, r := range routes {
		if slices.ContainsFunc(t.routes, func(o Route) bool { return o.Operation == r.Operation }) {
			return fmt.Errorf("operation %s is registered twice", r.Operation)
		}
		r.Parameters = withSharedParameters(r)
		if err := r.validate(); err != nil {
			return err
		}
		t.routes = append(t.routes, r)
		if r.Verb != "" || r.Endless {
			t.longRunning = append(t.longRunning, pattern{
				method: r.Method, path: segments(r.Path), isStream: r.Verb != "",
			})
		}
	}
	return nil
}

// validate returns an error if the route is not valid, for example if it has no access rule or lacks documentation.
func (r *Route) validate() error {
	switch {
	case r.Endpoint.rule == "":
		return fmt.Errorf("route %s %s has no access rule", r.Method, r.Path)
	case r.Operation == "" || r.Doc == "" || r.Returns == nil:
		return fmt.Errorf("route %s %s is not documented", r.Method, r.Path)
	case r.Verb != "" && (!slices.Contains(streams.Verbs(), r.Verb) || r.Endpoint.rule == RulePublic):
		return fmt.Errorf("stream %s has an unknown verb, or is public", r.Path)
	}
	for _, p := range pathParameters(r.Path) {
		if r.Parameters[p] == "" {
			return fmt.Errorf("path parameter %s of route %s %s is not documented", p, r.Method, r.Path)
		}
	}
	for name := range r.Types {
		if r.Parameters[name] == "" || slices.Contains(pathParameters(r.Path), name) {
			return fmt.Errorf("%s has a type, and is not a query parameter of route %s %s", name, r.Method, r.Path)
		}
	}
	return nil
}

// withSharedParameters returns the Parameters of r. It adds the documentation of the path parameters cluster and
// session if the path contains them.
func withSharedParameters(r Route) map[string]string {
	all := maps.Clone(r.Parameters)
	for name, doc := range map[string]string{"cluster": "the name of the cluster", "session": "the id of the session"} {
		if all[name] == "" && slices.Contains(pathParameters(r.Path), name) {
			if all == nil {
				all = map[string]string{}
			}
			all[name] = doc
		}
	}
	return all
}

// Routes returns all registered routes.
func (t *Table) Routes() []Route { return slices.Clone(t.routes) }

// IsPublic returns true if the route with this method and path has the access rule Public. path is relative to the root
// of the API. It is compared literally, because public routes have no path parameters.
func (t *Table) IsPublic(method, path string) bool {
	return slices.ContainsFunc(t.routes, func(r Route) bool {
		return r.Endpoint.rule == RulePublic && r.Method == method && r.Path == path
	})
}

// DuringSetup returns true if a user who is required to set up a second factor may call the route with this method and
// path before the set-up.
func (t *Table) DuringSetup(method, path string) bool {
	return slices.ContainsFunc(t.routes, func(r Route) bool {
		return r.DuringSetup && r.Method == method && r.Path == path
	})
}

// SetupCode returns the error code with which a route rejects a caller who must first set up a second factor. For a
// route that dashboards call on every page, it returns CodeConflict, because existing dashboards display the message of
// CodeConflict. For any other route, it returns CodeTwoFactorRequired.
func (t *Table) SetupCode(method, path string) dashboardv1alpha1.Code {
	ambient := func(r Route) bool { return r.Ambient && r.Method == method && r.Path == path }
	if slices.ContainsFunc(t.routes, ambient) {
		return dashboardv1alpha1.CodeConflict
	}
	return dashboardv1alpha1.CodeTwoFactorRequired
}

// DuringPasswordChange returns true if a user who is required to change the password may call the route with this
// method and path before the change.
func (t *Table) DuringPasswordChange(method, path string) bool {
	return slices.ContainsFunc(t.routes, func(r Route) bool {
		return r.DuringPasswordChange && r.Method == method && r.Path == path
	})
}

// Install adds the routes to ws, the web service at the root of the API. go-restful generates the OpenAPI documentation
// from the routes. Table.Handler serves the requests to all routes.
func (t *Table) Install(ws *restful.WebService) {
	handler := t.Handler(http.NotFoundHandler())
	serve := func(r *restful.Request, w *restful.Response) { handler.ServeHTTP(w.ResponseWriter, r.Request) }
	for _, r := range t.routes {
		b := ws.Method(r.Method).Path(r.Path).To(serve).Operation(r.Operation).Doc(r.Doc).
			Produces("application/json").Consumes("*/*").
			Returns(http.StatusOK, "An envelope. Its code is the result of the request.", r.Returns)
		if r.Reads != nil {
			b = b.Reads(r.Reads)
		}
		names := pathParameters(r.Path)
		for _, name := range names {
			b = b.Param(ws.PathParameter(name, r.Parameters[name]).DataType("string"))
		}
		for _, name := range sortedKeys(r.Parameters) {
			if !slices.Contains(names, name) {
				b = b.Param(ws.QueryParameter(name, r.Parameters[name]).DataType(r.Types[name].name()))
			}
		}
		ws.Route(b)
	}
}

// handlerTimeout is the time limit of a handler. It is shorter than the request timeout of k8s.io/apiserver, which
// would end the request with a response that is not an envelope.
const handlerTimeout = 55 * time.Second

func (t *Table) serve(r Route) serveFunc {
	return func(w http.ResponseWriter, req *http.Request, path map[string]string) {
		ctx, cancel := withTimeout(req.Context(), r)
		defer cancel()
		if s := envelope.StateFrom(ctx); s != nil {
			s.SetRoute(r.Path)
		}
		code, inBody := freshCode(req, r.Endpoint.rule)
		if u, ok := genericapirequest.UserFrom(ctx); ok && t.Prove != nil {
			proof := ctx
			ctx = stepup.WithProof(ctx, func() error { return t.Prove(req.WithContext(proof), u, code) })
		}
		leave, err := t.fair.enter(ctx, cmp.Or(t.PerUser, DefaultPerUser))
		if err != nil {
			envelope.WriteError(ctx, w, err)
			return
		}
		leave = sync.OnceFunc(leave)
		defer leave()
		admit := refuseTicket(ctx)
		if r.Verb != "" {
			admit = t.admitStream(req, path, r)
		}
		if admit != nil {
			envelope.WriteError(ctx, w, admit)
			return
		}
		account := t.account(ctx, r.Endpoint.rule)
		defer account.Close()
		if err := account.Take(1); err != nil { // rejects the request before it requests data that exceed the budget
			envelope.WriteError(ctx, w, envelope.OutOfMemory(err))
			return
		}
		ctx = budget.WithAccount(ctx, account)
		result, err := r.Endpoint.serve(&Request{
			Request: req.WithContext(ctx), path: path, code: code, codeInBody: inBody, parameters: r.Parameters,
		})
		if err != nil {
			writeFailure(ctx, w, r.Endpoint.rule, err)
			return
		}
		if result.Stream != nil { // an open stream does not count as a request in flight
			leave()
			account.Close()
			t.openStream(ctx, w, req, r, result.Stream)
			return
		}
		if result.Raw != nil {
			t.sendRaw(ctx, w, r, result.Raw, leave)
			return
		}
		t.writeAnswer(ctx, w, req, result)
	}
}

// withTimeout returns ctx with a deadline after handlerTimeout, or without a deadline if r is endless.
func withTimeout(ctx context.Context, r Route) (context.Context, context.CancelFunc) {
	if r.Endless {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, handlerTimeout)
}

// writeFailure responds with err as an envelope. If a public endpoint returns the code 40100, for example after a
// failed login, writeFailure sets only the status 401. An HTTP filter then writes the envelope after a delay.
func writeFailure(ctx context.Context, w http.ResponseWriter, rule Rule, err error) {
	refusal, state := envelope.As(err), envelope.StateFrom(ctx)
	if rule != RulePublic || refusal.Code != dashboardv1alpha1.CodeUnauthenticated || state == nil {
		envelope.WriteError(ctx, w, err)
		return
	}
	// The outermost HTTP filter sends the envelope after a delay, when the request no longer counts towards any limit.
	state.SetFailure(refusal)
	w.WriteHeader(http.StatusUnauthorized)
}

func (t *Table) account(ctx context.Context, rule Rule) *budget.Account {
	if rule == RulePublic {
		return t.PublicMemory.Account(holder(ctx), 0)
	}
	return t.Memory.Account(holder(ctx), 0)
}

// BelowRoot returns path relative to the root of the API, like Route.Path. It returns false if path is not below the
// root.
func BelowRoot(path string) (string, bool) {
	return strings.CutPrefix(path, dashboardv1alpha1.RootPath)
}

func pathParameters(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(segment, "{") {
			names = append(names, strings.Trim(segment, "{}"))
		}
	}
	return names
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
