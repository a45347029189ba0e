// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emicklei/go-restful/v3"
	genericapiserver "k8s.io/apiserver/pkg/server"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// TestAPanicEndsOneRequest verifies that a panic in any part of the server fails one request, with an envelope that
// does not contain the cause.
func TestAPanicEndsOneRequest(t *testing.T) {
	var nobody *dashboardv1alpha1.User
	table := &routes.Table{}
	for name, endpoint := range map[string]func(*routes.Request) (routes.Result, error){
		"handler": func(*routes.Request) (routes.Result, error) { return routes.Result{Data: nobody.Username}, nil },
		"fan-out": func(r *routes.Request) (routes.Result, error) {
			return routes.Result{}, fanout.Each(r.Context(), 2, 2, func(context.Context, int) error {
				_ = nobody.Username
				return nil
			})
		},
	} {
		err := table.Add(routes.Route{
			Method: http.MethodGet, Path: "/" + name, Operation: name, Doc: "panic",
			Returns: dashboardv1alpha1.Envelope{}, Endpoint: routes.Public(endpoint),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, codecs := NewCodecs()
	handler := genericapiserver.NewAPIServerHandler("test", codecs, func(h http.Handler) http.Handler {
		return filters.WithEnvelope(h, func(*http.Request) bool { return false }, nil)
	}, http.NotFoundHandler())
	ws := new(restful.WebService)
	ws.Path(dashboardv1alpha1.RootPath)
	table.Install(ws)
	handler.GoRestfulContainer.Add(ws)
	for _, r := range table.Routes() {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet,
			dashboardv1alpha1.RootPath+r.Path, http.NoBody))
		var got dashboardv1alpha1.Envelope
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil ||
			got.Code != dashboardv1alpha1.CodeInternal || strings.Contains(got.Message, "pointer") {
			t.Errorf("%s: %s, %v", r.Path, recorder.Body, err)
		}
	}
}
