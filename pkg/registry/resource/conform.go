// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/manifest"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// manifestObject is a decoded object that a client has sent as a manifest.
type manifestObject map[string]any

func (m manifestObject) text(field string) (string, error) {
	switch value := m[field].(type) {
	case string:
		return value, nil
	case nil:
		return "", nil
	default:
		return "", envelope.Invalid(field, "%s must be a string", field)
	}
}

// metadata returns the metadata of the object. It is nil if the object has none.
func (m manifestObject) metadata() manifestObject {
	metadata, _ := m["metadata"].(map[string]any)
	return metadata
}

// readManifest decodes the manifest in the body, and returns the manifest and its target. The name of the target comes
// from the URL. The namespace comes from the URL or the manifest. readManifest returns an error if the manifest
// contradicts the URL.
func readManifest(r *routes.Request, caller *clusters.Client, verb string) (objectref.Target, manifestObject, error) {
	body, err := r.ReadBody()
	if err != nil {
		return objectref.Target{}, nil, err
	}
	t, err := objectref.Read(r, caller, verb)
	if err != nil {
		return objectref.Target{}, nil, err
	}
	parsed, err := parse(r, body)
	if err != nil {
		return objectref.Target{}, nil, err
	}
	object := manifestObject(parsed)
	if t.Resource, err = object.resource(r.Context(), caller, t, r.Path(objectref.Resource)); err != nil {
		return objectref.Target{}, nil, err
	}
	object.dropDashboardFields(r.Context(), caller, t.Resource)
	if err := object.conform(&t); err != nil {
		return objectref.Target{}, nil, err
	}
	return t, object, nil
}

func parse(r *routes.Request, body []byte) (map[string]any, error) {
	if len(body) > manifest.MaxBytes {
		return manifest.Parse(r.Header.Get("Content-Type"), body) // the error states that the body is too large
	}
	var object map[string]any
	var malformed error
	err := r.Decode(len(body), func() { object, malformed = manifest.Parse(r.Header.Get("Content-Type"), body) })
	return object, cmp.Or(err, malformed)
}

// kind returns the apiVersion and kind of the manifest. It returns an error if one of them is missing or malformed.
func (m manifestObject) kind() (schema.GroupVersionKind, error) {
	apiVersion, err := m.text("apiVersion")
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	kind, err := m.text("kind")
	switch {
	case err != nil:
		return schema.GroupVersionKind{}, err
	case apiVersion == "":
		return schema.GroupVersionKind{}, envelope.Required("apiVersion")
	case kind == "":
		return schema.GroupVersionKind{}, envelope.Required("kind")
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return schema.GroupVersionKind{}, envelope.Invalid(
			"apiVersion",
			"apiVersion must be a version, or a group and a version: apps/v1",
		)
	}
	return gv.WithKind(kind), nil
}

// resource returns the API resource of the manifest. It returns an error if this resource contradicts the URL. t is the
// target that was determined from the URL. resourceName is the part of the URL that names the resource, for example
// deployments or deployments.apps.
func (m manifestObject) resource(
	ctx context.Context, caller *clusters.Client, t objectref.Target, resourceName string,
) (clusters.Resource, error) {
	found := t.Resource
	gvk, err := m.kind()
	if err != nil {
		return found, err
	}
	gv, kind := gvk.GroupVersion(), gvk.Kind
	fits := func(r *clusters.Resource) bool {
		inNamespace := t.Namespace != "" || (m.metadata()["namespace"] != nil && m.metadata()["namespace"] != "")
		return r.GroupVersion() == gv && r.Kind == kind && r.Namespaced == inNamespace
	}
	plural := found.GroupVersionResource.Resource
	if !fits(&found) {
		// If the URL does not name the group or the version, the manifest determines it.
		if resourceName == plural || (resourceName == plural+"."+found.Group && gv.Group == found.Group) {
			resourceName = plural + "." + gv.Version + "." + gv.Group
		}
		other, ok, err := caller.Resource(ctx, resourceName, fits)
		if err != nil {
			return found, envelope.FromAPIError(err)
		}
		if ok && other.GroupVersion() == gv {
			found = other
		}
	}
	if gv != found.GroupVersion() {
		return found, envelope.Invalid(
			"apiVersion",
			"the URL names %s of %s, but the apiVersion of the manifest is %s",
			plural,
			found.GroupVersion(),
			gv,
		)
	}
	if kind != found.Kind {
		return found, envelope.Invalid("kind", "the URL names %s, but the kind of the manifest is %s", plural, kind)
	}
	return found, nil
}

// conform returns an error if the manifest contradicts the target in the URL. If the URL contains a name, conform
// copies the name to the manifest. If only the URL contains a namespace, conform copies the namespace to the manifest.
// If only the manifest contains a namespace, conform copies the namespace to t.
func (m manifestObject) conform(t *objectref.Target) error {
	if _, ok := m["metadata"].(map[string]any); !ok {
		if m["metadata"] != nil {
			return envelope.Invalid("metadata", "metadata must be an object")
		}
		m["metadata"] = map[string]any{}
	}
	namespace, err := agreedValue(m.metadata(), "namespace", t.Namespace)
	if err != nil {
		return err
	}
	if t.Resource.Namespaced && namespace != "" {
		if err := routes.CheckLabel("metadata.namespace", namespace); err != nil {
			return err
		}
		t.Namespace = namespace
	}
	if !t.Resource.Namespaced && namespace != "" {
		return envelope.Invalid(
			"metadata.namespace",
			"%s are not namespaced: omit the namespace",
			t.Resource.GroupVersionResource.Resource,
		)
	}
	if err := t.CheckNamespaced(); err != nil {
		return err
	}
	_, err = agreedValue(m.metadata(), "name", t.Name)
	return err
}

// agreedValue returns the value of a metadata field on which the manifest and the URL agree. If only the URL has a
// value, agreedValue copies it to the field. If both have different values, it returns an error.
func agreedValue(metadata manifestObject, field, urlValue string) (string, error) {
	value, err := metadata.text(field)
	switch {
	case err != nil:
		return "", envelope.Invalid("metadata."+field, "metadata.%s must be a string", field)
	case urlValue == "":
		return value, nil
	case value != "" && value != urlValue:
		return "", envelope.Invalid("metadata."+field, "the URL has the %s %q, but the manifest has %q", field,
			urlValue, value)
	}
	metadata[field] = urlValue
	return urlValue, nil
}

func (m manifestObject) requireName() error {
	name, err := m.metadata().text("name")
	if err != nil {
		return err
	}
	if generated, ok := m.metadata()["generateName"].(string); name == "" && (!ok || generated == "") {
		return envelope.Required("metadata.name")
	}
	return nil
}

var strictError = regexp.MustCompile(`(?:unknown|duplicate) field "([^"]+)"`)

// setField sets Field of an envelope.Error if the code of the error is CodeInvalid and Field is empty. The value is the
// unknown or duplicate manifest field that the error message names, or "body" if the message names none. setField
// returns all other errors unchanged.
func setField(err error) error {
	e, ok := errors.AsType[*envelope.Error](err)
	if !ok || e.Code != dashboardv1alpha1.CodeInvalid || e.Field != "" {
		return err
	}
	e.Field = "body"
	if found := strictError.FindStringSubmatch(e.Message); found != nil {
		e.Field = strings.TrimPrefix(found[1], ".")
	}
	return e
}
