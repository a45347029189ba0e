// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objectref determines the object or list to which a request refers, and looks up its resource by discovery.
package objectref

import (
	"cmp"
	"context"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Names of path parameters.
const (
	Namespace = "namespace"
	Resource  = "resource"
	Name      = "name"
)

// Docs returns the documentation of the path parameters by name.
func Docs() map[string]string {
	return map[string]string{
		authorization.ClusterParameter: "the name of the cluster",
		Namespace:                      "the namespace",
		Resource:                       "the plural name of the kind: pods, deployments.apps or deployments.v1.apps",
		Name:                           "the name of the object",
	}
}

// Target is an object or, if Name is empty, a list of objects.
type Target struct {
	Resource  clusters.Resource
	Namespace string
	Name      string
}

// Attributes returns the ResourceAttributes of a SubjectAccessReview for a verb on the target.
func (t Target) Attributes(verb string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Group: t.Resource.Group, Version: t.Resource.Version, Resource: t.Resource.GroupVersionResource.Resource,
		Verb: verb, Namespace: t.Namespace, Name: t.Name,
	}
}

// Call returns a request for the target with an HTTP method.
func (t Target) Call(method string) clusters.Call {
	return clusters.Call{Method: method, Resource: t.Resource, Namespace: t.Namespace, Name: t.Name}
}

// Read returns the target to which the parameters of r refer. The namespace may be in the path or in the query. A
// namespace in the query is ignored for cluster-scoped resources, as in kubectl. Read returns an error if a parameter
// is malformed, or if the cluster does not serve the resource with the verb. The resource of the target always comes
// from discovery, and not from the text of the client.
func Read(r *routes.Request, caller *clusters.Client, verb string) (Target, error) {
	return find(r.Context(), caller, requested(r, verb))
}

// ReadObject is like Read, but returns an error for a namespaced resource without a namespace.
func ReadObject(r *routes.Request, caller *clusters.Client, verb string) (Target, error) {
	t, err := Read(r, caller, verb)
	if err != nil {
		return Target{}, err
	}
	return t, t.CheckNamespaced()
}

// ReadSubresource is like ReadObject, but also returns an error if the resource does not have the subresource.
func ReadSubresource(r *routes.Request, caller *clusters.Client, verb, subresource string) (Target, error) {
	w := requested(r, verb)
	w.subresource = subresource
	t, err := find(r.Context(), caller, w)
	if err != nil {
		return Target{}, err
	}
	return t, t.CheckNamespaced()
}

// CheckNamespaced returns an error if the resource of t is namespaced and t has no namespace.
func (t Target) CheckNamespaced() error {
	if t.Resource.Namespaced && t.Namespace == "" {
		return envelope.Invalid(Namespace, "%s are namespaced: name the namespace",
			t.Resource.GroupVersionResource.Resource)
	}
	return nil
}

// Find is like Read, but takes the resource, the namespace and the name as arguments. The namespace and the name may be
// empty.
func Find(ctx context.Context, caller *clusters.Client, verb, resource, namespace, name string) (Target, error) {
	return find(ctx, caller, wanted{
		verb: verb, resource: resource, namespace: namespace, name: name, mustBeNamespaced: namespace != "",
	})
}

// wanted contains the parameters that identify a target. It also contains the verb and the subresource that the
// resource of the target must support.
type wanted struct {
	verb, subresource, resource, namespace, name string
	// mustBeNamespaced is true if only a namespaced resource matches. Otherwise, cluster-scoped resources match, too.
	mustBeNamespaced bool
}

func requested(r *routes.Request, verb string) wanted {
	inPath := r.Path(Namespace)
	return wanted{
		verb: verb, resource: r.Path(Resource), namespace: cmp.Or(inPath, r.Query(Namespace)), name: r.Path(Name),
		mustBeNamespaced: inPath != "", // only paths of namespaced resources contain a namespace
	}
}

// check returns an error if the namespace, the name or the resource is malformed. It also returns an error if no
// resource was given.
func (w wanted) check() error {
	if w.namespace != "" {
		if err := routes.CheckLabel(Namespace, w.namespace); err != nil {
			return err
		}
	}
	if problems := content.IsPathSegmentName(w.name); len(problems) > 0 {
		return envelope.Invalid(Name, "name: %s", strings.Join(problems, "; "))
	}
	if w.resource == "" {
		return envelope.Required(Resource)
	}
	if problems := utilvalidation.IsDNS1123Subdomain(w.resource); len(problems) > 0 {
		return envelope.Invalid(Resource, "resource: %s", strings.Join(problems, "; "))
	}
	return nil
}

// mismatch returns an error if r does not support the verb or the subresource. It also returns an error if r is
// cluster-scoped and w.mustBeNamespaced is true.
func (w wanted) mismatch(r *clusters.Resource) error {
	switch {
	case !slices.Contains(r.Verbs, w.verb):
		return envelope.New(dashboardv1alpha1.CodeNotFound, "the cluster does not support %s of %s", w.verb, w.resource)
	case w.subresource != "" && !slices.Contains(r.Subresources, w.subresource):
		return envelope.New(dashboardv1alpha1.CodeNotFound, "the cluster serves no %s of %s", w.subresource, w.resource)
	case !r.Namespaced && w.mustBeNamespaced:
		return envelope.Invalid(Namespace, "%s are not namespaced: omit the namespace", w.resource)
	default:
		return nil
	}
}

func find(ctx context.Context, caller *clusters.Client, w wanted) (Target, error) {
	if err := w.check(); err != nil {
		return Target{}, err
	}
	found, ok, err := caller.Resource(ctx, w.resource, func(r *clusters.Resource) bool {
		lacksNamespace := r.Namespaced && w.name != "" && w.namespace == ""
		return w.mismatch(r) == nil && !lacksNamespace
	})
	if err != nil {
		return Target{}, envelope.FromAPIError(err)
	}
	if !ok {
		return Target{}, envelope.New(dashboardv1alpha1.CodeNotFound, "the cluster serves no resource %q", w.resource)
	}
	if err := w.mismatch(&found); err != nil {
		return Target{}, err
	}
	if !found.Namespaced { // the namespace of a query is ignored
		w.namespace = ""
	}
	return Target{Resource: found, Namespace: w.namespace, Name: w.name}, nil
}
