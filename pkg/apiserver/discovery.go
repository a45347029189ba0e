// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"

	"github.com/emicklei/go-restful/v3"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapiserver "k8s.io/apiserver/pkg/server"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/unsupported"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// dashboardResource returns the only resource in the discovery document of the group. The document must contain at
// least one resource, because older clients treat an empty list as an error or do not cache it.
//
// The name must not be the name of a resource of another product. Clients search names and kinds in all groups: a
// resource with the name users or clusters would hide such resources of other products. The resource has no verbs, so
// that clients that use all resources, such as the garbage collector, do not try to use it.
func dashboardResource() metav1.APIResource {
	return metav1.APIResource{
		Name: "kubevisiondashboards", SingularName: "kubevisiondashboard", Kind: "KubeVisionDashboard",
		Verbs: metav1.Verbs{},
	}
}

// install installs the routes, and adds the group to the discovery documents.
func install(s *genericapiserver.GenericAPIServer, codecs serializer.CodecFactory, table *routes.Table) error {
	gv := dashboardv1alpha1.SchemeGroupVersion
	version := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
	group := metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{version},
		PreferredVersion: version}
	resource := dashboardResource()

	ws := new(restful.WebService)
	ws.Path(dashboardv1alpha1.RootPath).Doc("the API of the KubeVision dashboard").ApiVersion(gv.String())
	lister := discovery.APIResourceListerFunc(func() []metav1.APIResource { return []metav1.APIResource{resource} })
	discovery.NewAPIVersionHandler(codecs, gv, lister).AddToWebService(ws)
	table.Install(ws)
	s.Handler.GoRestfulContainer.ServiceErrorHandler(unroutedHandler(codecs))
	s.Handler.GoRestfulContainer.Add(ws)
	s.Handler.GoRestfulContainer.Add(discovery.NewAPIGroupHandler(codecs, group).WebService())
	s.DiscoveryGroupManager.AddGroup(group)

	if s.AggregatedDiscoveryGroupManager == nil {
		return errors.New("the server has no manager for aggregated discovery")
	}
	s.AggregatedDiscoveryGroupManager.AddGroupVersion(gv.Group, apidiscoveryv2.APIVersionDiscovery{
		Version: gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
		Resources: []apidiscoveryv2.APIResourceDiscovery{{
			Resource: resource.Name, SingularResource: resource.SingularName,
			Scope: apidiscoveryv2.ScopeCluster, Verbs: resource.Verbs,
			ResponseKind: &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: resource.Kind},
		}},
	})
	return nil
}

// unroutedHandler returns a handler that writes the error for a path without a route. If the path belongs to a feature
// that KubeVision does not support, the error names this feature.
func unroutedHandler(codecs serializer.CodecFactory) restful.ServiceErrorHandleFunction {
	return func(failure restful.ServiceError, r *restful.Request, w *restful.Response) {
		if path, ok := routes.BelowRoot(r.Request.URL.Path); ok {
			if err := unsupported.Error(path); err != nil {
				envelope.WriteError(r.Request.Context(), w.ResponseWriter, err)
				return
			}
		}
		// For paths of KubeVision's API, filters.WithEnvelope replaces the Status with an error envelope.
		status := apierrors.NewGenericServerResponse(failure.Code, "", schema.GroupResource{}, "", failure.Message, 0,
			false)
		responsewriters.ErrorNegotiated(status, codecs, schema.GroupVersion{}, w.ResponseWriter, r.Request)
	}
}
