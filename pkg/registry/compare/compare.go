// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compare serves the YAML of two objects, of the same cluster or of different clusters, for a comparison.
package compare

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/diff"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Provider provides the endpoints of this package.
type Provider struct {
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodPost, Path: "/compare", Operation: "compareObjects",
		Doc:   "show two objects as YAML, without fields that always differ",
		Reads: dashboardv1alpha1.CompareRequest{}, Returns: dashboardv1alpha1.CompareEnvelope{},
		Endpoint: routes.Reviewed(e.review, compare),
	}}
}

// side is one of the two compared objects.
type side struct {
	// field is the name of the request field that refers to the object: source, target, left or right.
	field string
	// ref is the reference to the object.
	ref dashboardv1alpha1.ObjectReference
	// caller sends requests to the cluster of the object.
	caller *clusters.Client

	// resource is the resource of the object.
	resource clusters.Resource
	// body is the object in JSON.
	body []byte
}

// review reads the references to the two objects from the body. It returns an error if the caller may not use the
// cluster of one of them.
func (e *Provider) review(r *routes.Request, u user.Info) ([]side, error) {
	var request dashboardv1alpha1.CompareRequest
	if err := r.ReadJSON(&request); err != nil {
		return nil, err
	}
	source, err := pick("source", "left", request.Source, request.Left)
	if err != nil {
		return nil, err
	}
	other, err := pick("target", "right", request.Target, request.Right)
	if err != nil {
		return nil, err
	}
	sides := []side{source, other}
	for i := range sides {
		if sides[i].caller, err = e.Access.ClusterByName(r.Context(), u, sides[i].ref.Cluster); err != nil {
			return nil, err
		}
	}
	return sides, nil
}

// pick returns the object reference in one of two synonymous request fields, such as source and left. It returns an
// error if both fields are set, if both are missing, or if the reference is incomplete.
func pick(name, alias string, ref, aliasRef *dashboardv1alpha1.ObjectReference) (side, error) {
	switch {
	case ref != nil && aliasRef != nil:
		return side{}, envelope.Invalid(alias, "%s and %s are synonyms: send only one of them", name, alias)
	case ref == nil && aliasRef == nil:
		return side{}, envelope.Required(name)
	case ref == nil:
		name, ref = alias, aliasRef
	}
	for field, value := range map[string]string{"cluster": ref.Cluster, "resource": ref.Resource,
		"name": ref.Name} {
		if value == "" {
			return side{}, envelope.Required(name + "." + field)
		}
	}
	return side{field: name, ref: *ref}, nil
}

func compare(r *routes.Request, sides []side) (routes.Result, error) {
	err := fanout.Each(r.Context(), len(sides), len(sides), func(ctx context.Context, i int) error {
		return sides[i].read(ctx)
	})
	if err != nil {
		return routes.Result{}, err
	}
	source, other := sides[0], sides[1]
	sourceYaml, err := source.maskedYAML(nil)
	if err != nil {
		return routes.Result{}, err
	}
	otherYaml, err := other.maskedYAML(&source)
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{
		Data: dashboardv1alpha1.Comparison{
			SourceYaml: sourceYaml, TargetYaml: otherYaml, LeftYaml: sourceYaml, RightYaml: otherYaml,
			SourceRef: joined(source.ref), TargetRef: joined(other.ref),
			LeftRef: joined(source.ref), RightRef: joined(other.ref),
			Source: source.ref, Target: other.ref, Left: source.ref, Right: other.ref,
		},
		Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer},
	}, nil
}

// joined formats ref, for example local/demo/deployments/web.
func joined(ref dashboardv1alpha1.ObjectReference) string {
	parts := []string{ref.Cluster, ref.Namespace, ref.Resource, ref.Name}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}

// read gets the object from the cluster as the caller, and stores it in s.body.
func (s *side) read(ctx context.Context) error {
	t, err := objectref.Find(ctx, s.caller, "get", s.ref.Resource, s.ref.Namespace, s.ref.Name)
	if err == nil {
		err = t.CheckNamespaced()
	}
	if err != nil {
		return s.addFieldPrefix(err)
	}
	body, err := s.caller.Get(ctx, t.Resource, t.Namespace, t.Name, nil)
	if err := authorization.CallError(ctx, s.caller, t.Attributes("get"), err); err != nil {
		return err
	}
	if err := objects.HoldUntyped(body, budget.AccountFrom(ctx)); err != nil {
		return envelope.OutOfMemory(err)
	}
	s.resource, s.body, s.ref.Namespace = t.Resource, body, t.Namespace
	return nil
}

func (s *side) addFieldPrefix(err error) error {
	e := envelope.As(err)
	if e.Field != "" {
		e.Field = s.field + "." + e.Field // for example source.name
	}
	return e
}

func (s *side) maskedYAML(counterpart *side) (string, error) {
	// If both objects are Secrets, their masks show which values differ.
	var beside []byte
	if counterpart != nil && objects.IsSecret(counterpart.resource) {
		beside = counterpart.body
	}
	object, err := objects.DecodeBeside(s.body, beside, s.resource)
	if err != nil {
		return "", err
	}
	body, err := objects.Encode(object)
	if err != nil {
		return "", err
	}
	return diff.YAML(body)
}
