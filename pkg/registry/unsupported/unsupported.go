// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package unsupported serves the endpoints of features that KubeVision does not have, but that existing dashboards
// call. Reads return empty data, and writes return an error that names the missing feature.
package unsupported

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// feature is a feature that KubeVision does not have.
type feature struct {
	// path is the common prefix of the paths of the feature's endpoints. A segment in braces matches any segment.
	path string
	// message is the text of the error for requests to the feature's endpoints.
	message string
}

func features() []feature {
	const (
		ofCluster = "/clusters/{cluster}"
		noCharts  = "KubeVision manages no Helm releases: use helm, or a GitOps tool"
	)
	return []feature{
		{"/auth/public-key", "KubeVision has no passkeys: log in with a password and a one-time code"},
		{"/auth/oauth", "KubeVision has no external identity providers: log in with a password"},
		{"/ai", "KubeVision has no assistant"},
		{"/operations", "KubeVision has no long-running operations: the response is sent when the request is complete"},
		{"/plugins", "KubeVision has no plugins"},
		{"/webhooks", "KubeVision calls no webhooks"},
		{"/api-keys", "KubeVision has no API keys: use an access token, or a Kubernetes credential"},
		{"/audit-logs", "KubeVision has no API for audit logs: kubevision-apiserver and each cluster write their own"},
		{"/directory", "KubeVision has no user directories: users are KubeVisionUsers"},
		{ofCluster + "/package-releases", noCharts},
		{ofCluster + "/helm", noCharts},
	}
}

// Error returns the error for a path of an unsupported feature, and nil for all other paths.
func Error(path string) error {
	for _, f := range features() {
		if below(path, f.path) {
			return envelope.New(dashboardv1alpha1.CodeConflict, "%s", f.message)
		}
	}
	return nil
}

func below(path, pattern string) bool {
	segments, wanted := strings.Split(path, "/"), strings.Split(pattern, "/")
	if len(segments) < len(wanted) {
		return false
	}
	for i, w := range wanted {
		if segments[i] != w && !strings.HasPrefix(w, "{") {
			return false
		}
	}
	return true
}

// Provider responds with empty data to some requests for unsupported features. Dashboards send these requests when they
// load a page.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	out := []routes.Route{ //nolint:prealloc // once, at the start
		{
			Method: http.MethodGet, Path: "/auth/public-key/config", Operation: "getPublicKeyConfig",
			Doc: "respond that there are no passkeys", Returns: dashboardv1alpha1.AbsentFeatureEnvelope{},
			Endpoint: routes.Public(func(*routes.Request) (routes.Result, error) {
				return routes.Result{Data: dashboardv1alpha1.AbsentFeature{}}, nil
			}),
		},
		{
			Method: http.MethodGet, Path: "/auth/oauth/providers", Operation: "listOAuthProviders",
			Doc:      "respond that there are no external identity providers",
			Returns:  dashboardv1alpha1.AbsentListEnvelope{},
			Endpoint: routes.Public(func(*routes.Request) (routes.Result, error) { return empty(), nil }),
		},
		{
			Method: http.MethodGet, Path: "/ai/config", Operation: "getAIConfig", Ambient: true,
			Doc: "respond that there is no assistant", Returns: dashboardv1alpha1.AIConfigEnvelope{},
			Endpoint: routes.Self(func(*routes.Request, user.Info) (routes.Result, error) {
				return routes.Result{Data: dashboardv1alpha1.AIConfig{}}, nil
			}),
		},
		{
			Method: http.MethodGet, Path: "/directory/config", Operation: "getDirectoryConfig",
			Doc: "respond that there is no user directory", Returns: dashboardv1alpha1.DirectoryConfigEnvelope{},
			Endpoint: routes.Self(func(*routes.Request, user.Info) (routes.Result, error) {
				return routes.Result{Data: dashboardv1alpha1.DirectoryConfig{
					StartTLS: true, Mappings: []string{},
				}}, nil
			}),
		},
	}
	return append(append(out, lists()...), p.clusterLists()...)
}

// lists returns routes for unsupported features that do not belong to a cluster. Each route responds with an empty
// list.
func lists() []routes.Route {
	var out []routes.Route //nolint:prealloc // once, at the start
	for _, l := range []struct{ path, operation, what string }{
		{"/operations", "listOperations", "operations"},
		{"/plugins", "listPlugins", "plugins"},
		{"/webhooks", "listWebhooks", "webhooks"},
		{"/api-keys", "listAPIKeys", "API keys"},
		{"/audit-logs", "listAuditLogs", "records of an audit log"},
	} {
		out = append(out, routes.Route{
			Method: http.MethodGet, Path: l.path, Operation: l.operation, Doc: "respond that there are no " + l.what,
			Returns:  dashboardv1alpha1.AbsentListEnvelope{},
			Endpoint: routes.Self(func(*routes.Request, user.Info) (routes.Result, error) { return empty(), nil }),
		})
	}
	return out
}

// clusterLists returns routes for unsupported features of a cluster. Each route responds with an empty list, or with an
// error if the caller may not use the cluster.
func (p *Provider) clusterLists() []routes.Route {
	var out []routes.Route //nolint:prealloc // once, at the start
	for _, l := range []struct{ path, operation, what string }{
		{"/package-releases", "listPackageReleases", "Helm releases"},
		{"/helm/repositories", "listHelmRepositories", "Helm repositories"},
		{"/helm/upgrade-policies", "listHelmUpgradePolicies", "policies for upgrades of Helm releases"},
		{"/helm/artifact-hub/search", "searchArtifactHub", "searches for Helm charts"},
	} {
		out = append(out, routes.Route{
			Method: http.MethodGet, Path: "/clusters/{cluster}" + l.path, Operation: l.operation,
			Doc: "respond that there are no " + l.what, Returns: dashboardv1alpha1.AbsentListEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, func(*routes.Request, *clusters.Client) (routes.Result, error) {
				return empty(), nil
			}),
		})
	}
	return out
}

func empty() routes.Result { return hostobjects.List[string](nil) }
