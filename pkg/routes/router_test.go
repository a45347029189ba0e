// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"unsafe"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

// TestWhichRouteIsMeant verifies the precedence of overlapping routes. An object may have the name of an action, and a
// kind may have the name of a segment of a path.
func TestWhichRouteIsMeant(t *testing.T) {
	const (
		object, inCluster = "/namespaces/{namespace}/resources/{resource}/{name}", "/resources/{resource}/{name}"
		action            = "/namespaces/{namespace}/{resource}/{name}/scale"
		dryRun            = "/namespaces/{namespace}/resources/{resource}/{name}/dry-run"
		longAction, batch = "/namespaces/{namespace}/resources/{resource}/{name}/scale", "/resources/batch"
		collection        = "/resources/{resource}"
	)
	served := ""
	table := &Table{}
	for _, path := range []string{action, object, dryRun, longAction, inCluster, collection, batch} {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			if method == http.MethodGet && path == action {
				continue
			}
			if err := table.Add(Route{
				Method: method, Path: path, Operation: method + path, Doc: "x", Returns: dashboardv1alpha1.Envelope{},
				Parameters: map[string]string{"namespace": "x", "resource": "x", "name": "x"},
				Endpoint:   Self(func(*Request, user.Info) (Result, error) { served = path; return Result{}, nil }),
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	container, service := restful.NewContainer(), new(restful.WebService)
	container.Router(restful.CurlyRouter{})
	table.Install(service.Path(dashboardv1alpha1.RootPath))
	container.Add(service)
	for _, tc := range []struct{ method, path, want string }{
		{http.MethodPut, "/namespaces/a/resources/configmaps/scale", object},
		{http.MethodGet, "/namespaces/a/resources/configmaps/scale", object},
		{http.MethodPut, "/namespaces/a/deployments/web/scale", action},
		{http.MethodPut, "/namespaces/a/deployments/scale/scale", action},
		{http.MethodPut, "/namespaces/resources/deployments/web/scale", action},
		{http.MethodPut, "/namespaces/a/resources/deployments/web/scale", longAction},
		{http.MethodPut, "/namespaces/a/resources/scale/scale/scale", longAction},
		{http.MethodPut, "/namespaces/a/resources/resources/resources/dry-run", dryRun},
		{http.MethodPut, "/resources/batch", batch},
		{http.MethodPut, "/resources/batches", collection},
		{http.MethodPut, "/resources/batch/scale", inCluster},
	} {
		served = ""
		ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"})
		container.ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequestWithContext(ctx, tc.method, dashboardv1alpha1.RootPath+tc.path, nil))
		if served != tc.want {
			t.Errorf("%s %s was served by %q, want %q", tc.method, tc.path, served, tc.want)
		}
	}
}

// TestValuesAreCopies verifies that the values of path and query parameters do not keep the URL in memory.
func TestValuesAreCopies(t *testing.T) {
	var inPath, inQuery string
	var request *http.Request
	table := &Table{}
	if err := table.Add(Route{
		Method: http.MethodGet, Path: "/names/{name}", Operation: "x", Doc: "x", Returns: dashboardv1alpha1.Envelope{},
		Parameters: map[string]string{"name": "x"},
		Endpoint: Self(func(r *Request, _ user.Info) (Result, error) {
			inPath, inQuery, request = r.Path("name"), r.Query("q"), r.Request
			return Result{}, nil
		}),
	}); err != nil {
		t.Fatal(err)
	}
	ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"})
	const path = dashboardv1alpha1.RootPath + "/names/short?q=value&pad=x"
	table.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(),
		httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	if inPath != "short" || inQuery != "value" {
		t.Fatalf("the values are %q and %q", inPath, inQuery)
	}
	for whole, part := range map[string]string{request.URL.Path: inPath, request.URL.RawQuery: inQuery} {
		begin, at := addressOf(whole), addressOf(part)
		if at >= begin && at < begin+uintptr(len(whole)) {
			t.Errorf("%q is a part of %q", part, whole)
		}
	}
}

func addressOf(text string) uintptr {
	return uintptr(unsafe.Pointer(unsafe.StringData(text))) //nolint:gosec // the test only compares addresses
}
