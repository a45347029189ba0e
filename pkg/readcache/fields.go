// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	nameField      = "metadata.name"
	namespaceField = "metadata.namespace"
)

// selectable returns the fields of a kind, beside its name and namespace, by which API servers select and whose value is
// that at their path. Only the API server selects by others.
func selectable(r schema.GroupVersionResource) []string {
	if r.Version != "v1" || r.Group != "" {
		return nil
	}
	switch r.Resource {
	case "pods":
		return []string{
			"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
			"status.podIP", "status.nominatedNodeName",
		}
	case "events":
		return []string{
			"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
			"involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "type",
			"reportingComponent",
		}
	case "namespaces":
		return []string{"status.phase"}
	default:
		return nil
	}
}

// FieldMatcher returns a function that returns true for objects that match a field selector. It returns false if only the
// API server can select by it.
func FieldMatcher(r schema.GroupVersionResource, namespaced bool, selector fields.Selector) (func(*Object) bool, bool) {
	if selector.Empty() {
		return func(*Object) bool { return true }, true
	}
	known := map[string]bool{nameField: true, namespaceField: namespaced}
	for _, field := range selectable(r) {
		known[field] = true
	}
	for _, requirement := range selector.Requirements() {
		if !known[requirement.Field] {
			return nil, false
		}
	}
	return func(o *Object) bool { return selector.Matches(fieldsOf{o}) }, true
}

// fieldsOf implements fields.Fields.
type fieldsOf struct{ object *Object }

// Has returns true for all fields.
func (fieldsOf) Has(string) bool { return true }

// Get returns the value of a field, or an empty string.
func (f fieldsOf) Get(field string) string {
	switch field {
	case nameField:
		return f.object.Name
	case namespaceField:
		return f.object.Namespace
	}
	return f.object.Text(strings.Split(field, ".")...)
}

// Text returns the string at a path of the object, or an empty string.
func (o *Object) Text(path ...string) string {
	raw, ok := rawjson.Lookup(o.JSON, path...)
	if !ok {
		return ""
	}
	text, err := rawjson.NewScanner(raw).Text()
	if err != nil {
		return ""
	}
	return text
}
