// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"slices"
	"strings"

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
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/registry/absent"
)

// install serves the routes, and makes the group known in all three forms of discovery. Its resources have no verbs: they are what
// ClusterRoles can name, but nothing that kubectl get, the garbage collector or a namespace's deletion could work with.
func install(s *genericapiserver.GenericAPIServer, codecs serializer.CodecFactory, table *routes.Table) error {
	gv := dashboardv1alpha1.SchemeGroupVersion
	version := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
	group := metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}
	resources := apiResources(table)

	ws := new(restful.WebService)
	ws.Path(dashboardv1alpha1.RootPath).Doc("the API of the KubeVision dashboard").ApiVersion(gv.String())
	discovery.NewAPIVersionHandler(codecs, gv, discovery.APIResourceListerFunc(func() []metav1.APIResource { return resources })).AddToWebService(ws)
	table.Install(ws)
	s.Handler.GoRestfulContainer.ServiceErrorHandler(unrouted(codecs))
	s.Handler.GoRestfulContainer.Add(ws)
	s.Handler.GoRestfulContainer.Add(discovery.NewAPIGroupHandler(codecs, group).WebService())
	s.DiscoveryGroupManager.AddGroup(group)

	aggregated := apidiscoveryv2.APIVersionDiscovery{Version: gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
	for i := range resources {
		aggregated.Resources = append(aggregated.Resources, apidiscoveryv2.APIResourceDiscovery{
			Resource: resources[i].Name, SingularResource: resources[i].SingularName, Scope: apidiscoveryv2.ScopeCluster, Verbs: resources[i].Verbs,
			ResponseKind: &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: resources[i].Kind},
		})
	}
	if s.AggregatedDiscoveryGroupManager == nil {
		return errors.New("the server has no manager for aggregated discovery")
	}
	s.AggregatedDiscoveryGroupManager.AddGroupVersion(gv.Group, aggregated)
	return nil
}

// unrouted answers where there is no route. Below the root, the filter around the chain makes an envelope of it, unless
// the feature that is asked for is one that KubeVision does not have.
func unrouted(codecs serializer.CodecFactory) restful.ServiceErrorHandleFunction {
	return func(failure restful.ServiceError, r *restful.Request, w *restful.Response) {
		if path, ok := routes.BelowRoot(r.Request.URL.Path); ok {
			if err := absent.Error(path); err != nil {
				envelope.WriteError(r.Request.Context(), w.ResponseWriter, err)
				return
			}
		}
		status := apierrors.NewGenericServerResponse(failure.Code, "", schema.GroupResource{}, "", failure.Message, 0, false)
		responsewriters.ErrorNegotiated(status, codecs, schema.GroupVersion{}, w.ResponseWriter, r.Request)
	}
}

// apiResources are the first segments of the routes' paths, which kube-apiserver takes for resources when it authorizes.
func apiResources(table *routes.Table) []metav1.APIResource {
	var names []string
	for _, r := range table.Routes() {
		if name, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := make([]metav1.APIResource, 0, len(names))
	for _, name := range names {
		singular := strings.TrimSuffix(name, "s")
		out = append(out, metav1.APIResource{
			Name: name, SingularName: singular, Kind: kindOf(singular), Verbs: metav1.Verbs{},
		})
	}
	return out
}

// kindOf makes RoleBinding of role-binding.
func kindOf(singular string) string {
	var kind strings.Builder
	for word := range strings.SplitSeq(singular, "-") {
		kind.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return kind.String()
}
