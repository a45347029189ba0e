// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	"github.com/emicklei/go-restful/v3"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/utils/clock"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

// Document returns the OpenAPI v3 document of the API. It needs no running server and no cluster.
func Document(ctx context.Context) (*spec3.OpenAPI, error) {
	scheme, codecs := NewCodecs()
	generic := genericapiserver.NewConfig(codecs)
	c := &ExtraConfig{PasswordHashes: 1}
	// Routes can be registered only with a state. No request is served, so the services of this state are never called.
	unconnected := &state{config: &rest.Config{}, keys: token.NewKeySet(clock.RealClock{}),
		sessions: &sessionindex.Index{}}
	table, _, err := c.routes(ctx, unconnected, &clientFinder{})
	if err != nil {
		return nil, err
	}
	setOpenAPI(generic, scheme, table)
	ws := new(restful.WebService)
	ws.Path(dashboardv1alpha1.RootPath)
	table.Install(ws)
	services := restfuladapter.AdaptWebServices([]*restful.WebService{ws})
	document, err := builder3.BuildOpenAPISpecFromRoutes(services, generic.OpenAPIV3Config)
	if err != nil {
		return nil, fmt.Errorf("describing the routes: %w", err)
	}
	return document, nil
}
