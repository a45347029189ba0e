// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"testing"

	"github.com/emicklei/go-restful/v3"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// TestRegisteredIsDescribed verifies that the OpenAPI document describes all registered routes. Each response and each
// request body must have a schema.
func TestRegisteredIsDescribed(t *testing.T) {
	nothing := routes.Public(func(*routes.Request) (routes.Result, error) { return routes.Result{}, nil })
	table := &routes.Table{}
	if err := table.Add(
		routes.Route{
			Method: "POST", Path: "/things/{thing}", Operation: "changeThing", Doc: "change a thing", Endpoint: nothing,
			Reads: dashboardv1alpha1.LoginRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Parameters: map[string]string{"thing": "its name", "when": "now"},
		},
		routes.Route{
			Method: "POST", Path: "/things/{thing}/touch", Operation: "touchThing", Doc: "touch a thing",
			Endpoint: nothing,
			Returns:  dashboardv1alpha1.Envelope{}, Parameters: map[string]string{"thing": "its name"},
		},
	); err != nil {
		t.Fatal(err)
	}
	scheme, codecs := NewCodecs()
	config := genericapiserver.NewConfig(codecs)
	setOpenAPI(config, scheme, table)
	ws := new(restful.WebService)
	ws.Path(dashboardv1alpha1.RootPath)
	table.Install(ws)
	document, err := builder3.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices([]*restful.WebService{ws}),
		config.OpenAPIV3Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Routes() {
		path := document.Paths.Paths[dashboardv1alpha1.RootPath+r.Path]
		if path == nil || path.Post == nil || path.Post.OperationId != r.Operation ||
			len(path.Parameters)+len(path.Post.Parameters) != len(r.Parameters) {
			t.Errorf("%s is described as %+v", r.Path, path)
			continue
		}
		if answer := path.Post.Responses.StatusCodeResponses[200]; answer == nil ||
			answer.Content["application/json"].Schema.Ref.String() == "" {
			t.Errorf("the response of %s is not typed: %+v", r.Path, answer)
		}
		switch body := path.Post.RequestBody; {
		case (body != nil) != (r.Reads != nil):
			t.Errorf("the body of %s is described as %+v", r.Path, body)
		case body != nil && (len(body.Content) != 1 || body.Content["application/json"] == nil ||
			body.Content["application/json"].Schema.Ref.String() == ""):
			t.Errorf("the body of %s is not typed: %+v", r.Path, body.Content)
		}
	}
}
