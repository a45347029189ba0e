// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

func install(table *Table) *restful.Container {
	ws := new(restful.WebService)
	table.Install(ws)
	container := restful.NewContainer()
	container.Add(ws)
	return container
}

// TestOneUserDoesNotTakeAllPlaces verifies that a user with too many concurrent requests gets an error with a time to
// retry, and that other users are not affected.
func TestOneUserDoesNotTakeAllPlaces(t *testing.T) {
	const limit = 3
	entered, release := make(chan struct{}), make(chan struct{})
	table := &Table{PerUser: limit}
	if err := table.Add(route(func(r *Route) {
		r.Path, r.Parameters = "/things", nil
		r.Endpoint = Self(func(_ *Request, u user.Info) (Result, error) {
			if u.GetName() == "greedy" {
				entered <- struct{}{}
				<-release
			}
			return Result{}, nil
		})
	})); err != nil {
		t.Fatal(err)
	}
	container := install(table)
	ask := func(name string) dashboardv1alpha1.Code {
		state := envelope.NewState()
		ctx := envelope.WithState(genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: name}), state)
		container.ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequestWithContext(ctx, http.MethodGet, "/things", http.NoBody))
		_, code := state.Outcome()
		return code
	}
	done := make(chan dashboardv1alpha1.Code)
	for range limit {
		go func() { done <- ask("greedy") }()
		<-entered
	}
	if code := ask("greedy"); code != dashboardv1alpha1.CodeTooManyRequests {
		t.Errorf("one more: code %d", code)
	}
	if code := ask("modest"); code != dashboardv1alpha1.CodeOK {
		t.Errorf("somebody else: code %d", code)
	}
	close(release)
	for range limit {
		if code := <-done; code != dashboardv1alpha1.CodeOK {
			t.Errorf("one of the first: code %d", code)
		}
	}
	go func() { done <- ask("greedy") }()
	<-entered
	if code := <-done; code != dashboardv1alpha1.CodeOK {
		t.Errorf("afterwards: code %d", code)
	}
}

// TestUsersLeaveMemoryForLogins verifies that public endpoints, for example for logins, have a separate memory limit.
// Requests to other endpoints cannot use up the memory for public endpoints.
func TestUsersLeaveMemoryForLogins(t *testing.T) {
	table := &Table{Memory: budget.New(1 << 20), PublicMemory: budget.New(1 << 20)}
	for _, name := range []string{"one", "two", "three", "four", "five"} {
		held := table.Memory.Account(name, 0)
		for err := error(nil); err == nil; err = held.Take(64 << 10) {
			continue
		}
	}
	answer := func(*Request) (Result, error) { return Result{}, nil }
	for path, endpoint := range map[string]Endpoint{
		"/public": Public(answer), "/own": Self(func(r *Request, _ user.Info) (Result, error) { return answer(r) }),
	} {
		if err := table.Add(route(func(r *Route) {
			r.Path, r.Parameters, r.Endpoint, r.Operation = path, nil, endpoint,
				path[1:]
		})); err != nil {
			t.Fatal(err)
		}
	}
	container := install(table)
	for path, want := range map[string]dashboardv1alpha1.Code{
		"/public": dashboardv1alpha1.CodeOK, "/own": dashboardv1alpha1.CodeTooManyRequests,
	} {
		state := envelope.NewState()
		ctx := envelope.WithState(genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "six"}), state)
		container.ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
		if _, code := state.Outcome(); code != want {
			t.Errorf("%s: code %d, want %d", path, code, want)
		}
	}
}

// TestHandlersEnd verifies that the context of a handler ends after handlerTimeout. Without this limit,
// k8s.io/apiserver would later end the request with an error in another format.
func TestHandlersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &Table{}
		if err := table.Add(route(func(r *Route) {
			r.Path, r.Parameters = "/things", nil
			r.Endpoint = Self(func(r *Request, _ user.Info) (Result, error) {
				<-r.Context().Done()
				return Result{}, envelope.FromAPIError(r.Context().Err())
			})
		})); err != nil {
			t.Fatal(err)
		}
		ws := new(restful.WebService)
		table.Install(ws)
		container := restful.NewContainer()
		container.Add(ws)
		state := envelope.NewState()
		ctx := envelope.WithState(genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "patient"}), state)
		begun := time.Now()
		container.ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequestWithContext(ctx, http.MethodGet, "/things", http.NoBody))
		if took := time.Since(begun); took != handlerTimeout {
			t.Errorf("it ended after %s", took)
		}
		if _, code := state.Outcome(); code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("code %d", code)
		}
	})
}
