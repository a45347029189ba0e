// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/manifest"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

func parseAll(r *routes.Request) ([]map[string]any, error) {
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	contentType := r.Header.Get("Content-Type")
	if len(body) > manifest.MaxBytes {
		return manifest.ParseAll(contentType, body, maxApplied) // the error states that the body is too large
	}
	var all []map[string]any
	var malformed error
	err = r.Decode(len(body), func() { all, malformed = manifest.ParseAll(contentType, body, maxApplied) })
	return all, cmp.Or(err, malformed)
}

// bundleReader decodes the objects of a bundle and finds their resources.
type bundleReader struct {
	caller           *clusters.Client
	defaultNamespace string
	force            bool
	// defined contains the kinds that CustomResourceDefinitions in the bundle define.
	defined map[schema.GroupVersionKind]clusters.Resource
	seen    map[string]int
}

// read checks the object with the index i in the bundle, and finds the resource of the object. It returns an error if
// the object cannot be applied.
func (r *bundleReader) read(ctx context.Context, i int, object manifestObject) (*applied, error) {
	gvk, err := object.kind()
	if err != nil {
		return nil, err
	}
	a := &applied{kind: gvk.GroupKind(), stage: stageOf(gvk.GroupKind())}
	t := objectref.Target{}
	if t.Resource, a.needsDefinition, err = r.find(ctx, gvk); err != nil {
		return nil, err
	}
	if err := r.conform(ctx, object, &t, a.needsDefinition); err != nil {
		return nil, err
	}
	if err := r.checkUnique(i, t); err != nil {
		return nil, err
	}
	a.result = dashboardv1alpha1.ApplyResult{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: t.Name, Namespace: t.Namespace,
		Paths: []string{},
	}
	a.write, err = object.newApply(ctx, r.caller, t, r.force)
	return a, err
}

// find returns the resource that the cluster serves for gvk. If the cluster does not serve gvk, a
// CustomResourceDefinition in the bundle may define it. In this case, find returns the defined resource, and true.
func (r *bundleReader) find(
	ctx context.Context,
	gvk schema.GroupVersionKind,
) (found clusters.Resource, defined bool, err error) {
	found, ok, err := r.caller.Kind(ctx, gvk)
	switch {
	case err != nil:
		return found, false, envelope.FromAPIError(err)
	case ok && slices.Contains(found.Verbs, "patch"):
		return found, false, nil
	case ok:
		return found, false, envelope.New(dashboardv1alpha1.CodeNotFound, "the cluster does not support patch of %s",
			gvk.Kind)
	}
	if found, defined = r.defined[gvk]; !defined {
		return found, false, envelope.New(
			dashboardv1alpha1.CodeNotFound,
			"the cluster serves no %s of %s",
			gvk.Kind,
			gvk.GroupVersion(),
		)
	}
	return found, true, nil
}

func (r *bundleReader) conform(ctx context.Context, object manifestObject, t *objectref.Target, defined bool) error {
	if !defined {
		object.dropDashboardFields(ctx, r.caller, t.Resource)
	}
	if namespace, err := object.metadata().text("namespace"); err == nil && namespace == "" && t.Resource.Namespaced {
		t.Namespace = r.defaultNamespace
	}
	if err := object.conform(t); err != nil {
		return err
	}
	name, err := object.metadata().text("name")
	switch {
	case err != nil:
		return envelope.Invalid("metadata.name", "metadata.name must be a string")
	case name == "":
		return envelope.Required("metadata.name")
	}
	if problems := content.IsPathSegmentName(name); len(problems) > 0 {
		return envelope.Invalid("metadata.name", "metadata.name: %s", strings.Join(problems, "; "))
	}
	t.Name = name
	return nil
}

// checkUnique returns an error if an earlier object of the request identifies the same object as t. Otherwise, it
// records the index of t in the request.
func (r *bundleReader) checkUnique(index int, t objectref.Target) error {
	key := strings.Join([]string{t.Resource.GroupResource().String(), t.Namespace, t.Name}, "/")
	if first, twice := r.seen[key]; twice {
		return envelope.Invalid("metadata.name", "%s %q is the same object as [%d]", t.Resource.Kind, t.Name, first)
	}
	r.seen[key] = index
	return nil
}

// definition contains the fields of a CustomResourceDefinition that definedKinds needs.
type definition struct {
	Spec struct {
		Group string `json:"group"`
		Scope string `json:"scope"`
		Names struct {
			Kind   string `json:"kind"`
			Plural string `json:"plural"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
		} `json:"versions"`
	} `json:"spec"`
}

// definedKinds returns the kinds that are defined by the CustomResourceDefinitions in a bundle of manifests. It ignores
// malformed CustomResourceDefinitions, which the API server rejects later.
func definedKinds(bundle []map[string]any) map[schema.GroupVersionKind]clusters.Resource {
	out := map[schema.GroupVersionKind]clusters.Resource{}
	for _, o := range bundle {
		if o["kind"] != kindDefinition {
			continue
		}
		var d definition
		if encoded, err := json.Marshal(o); err != nil || json.Unmarshal(encoded, &d) != nil {
			continue
		}
		for _, v := range d.Spec.Versions {
			gv := schema.GroupVersion{Group: d.Spec.Group, Version: v.Name}
			resource := gv.WithResource(d.Spec.Names.Plural)
			if !v.Served || !isSegment(gv.Group) || !isSegment(gv.Version) || !isSegment(resource.Resource) {
				continue
			}
			out[gv.WithKind(d.Spec.Names.Kind)] = clusters.Resource{
				GroupVersionResource: resource, Kind: d.Spec.Names.Kind, Namespaced: d.Spec.Scope == "Namespaced",
				Verbs: metav1.Verbs{"get", "patch"},
			}
		}
	}
	return out
}

func isSegment(name string) bool { return len(utilvalidation.IsDNS1123Subdomain(name)) == 0 }
