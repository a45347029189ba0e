// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"strings"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/spec3"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const apiTitle = "KubeVision"

// setOpenAPI configures the OpenAPI v2 and v3 documents of the server, which kube-apiserver merges into its own.
func setOpenAPI(c *genericapiserver.Config, scheme *runtime.Scheme, table *routes.Table) {
	namer := apiopenapi.NewDefinitionNamer(scheme)
	c.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	c.OpenAPIConfig.Info.Title = apiTitle
	c.OpenAPIConfig.GetOperationIDAndTagsFromRoute = operationIDAndTags
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	c.OpenAPIV3Config.Info.Title = apiTitle
	c.OpenAPIV3Config.Info.Version = dashboardv1alpha1.SchemeGroupVersion.Version
	c.OpenAPIV3Config.GetOperationIDAndTagsFromRoute = operationIDAndTags
	c.OpenAPIV3Config.PostProcessSpec = func(document *spec3.OpenAPI) (*spec3.OpenAPI, error) {
		describeObjects(document)
		describeOperations(document, table)
		return document, nil
	}
}

// operationIDAndTags returns the operation name of a route, and the first segment of the path as the tag. For routes of
// the dashboard, it does not call GetOperationIDAndTags of k8s.io/apiserver. That function requires names that begin
// with a Kubernetes verb.
func operationIDAndTags(r common.Route) (string, []string, error) {
	path, ok := routes.BelowRoot(r.Path())
	if !ok || strings.Trim(path, "/") == "" {
		return apiopenapi.GetOperationIDAndTags(&restful.Route{Operation: r.OperationName(), Path: r.Path()})
	}
	tag, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return r.OperationName(), []string{tag}, nil
}
