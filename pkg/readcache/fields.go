// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	nameField      = "metadata.name"
	namespaceField = "metadata.namespace"
)

// selectable returns the fields of a resource that the cache supports in field selectors, in addition to metadata.name
// and metadata.namespace. The name of each field is also its path in the JSON of the object.
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

// maxRequirements bounds the size of a selector. The cache does not evaluate larger selectors. The size of a field
// selector is the number of its requirements. The size of a label selector also includes the number of values in its
// requirements.
const maxRequirements = 64

// FieldMatcher returns a function that returns true for objects that match the field selector. FieldMatcher returns nil
// and false if the cache cannot evaluate the selector. The list must then be requested from the API server.
func FieldMatcher(
	r schema.GroupVersionResource, namespaced bool, selector fields.Selector,
) (func(*Object) bool, bool) {
	if selector.Empty() {
		return func(*Object) bool { return true }, true
	}
	known := map[string]bool{nameField: true, namespaceField: namespaced}
	for _, field := range selectable(r) {
		known[field] = true
	}
	requirements, paths := selector.Requirements(), map[string][]string{}
	if len(requirements) > maxRequirements {
		return nil, false
	}
	for _, requirement := range requirements {
		if !known[requirement.Field] {
			return nil, false
		}
		paths[requirement.Field] = strings.Split(requirement.Field, ".")
	}
	return func(o *Object) bool {
		values := make(fields.Set, len(paths)) // Each field is read once, even if several requirements use it.
		for field, path := range paths {
			values[field] = o.field(field, path)
		}
		return selector.Matches(values)
	}, true
}

// IsShort returns true if the number of requirements in the label selector, plus the number of their values, is at most
// maxRequirements. The cache does not evaluate longer selectors. IsShort returns false for labels.Nothing().
func IsShort(selector labels.Selector) bool {
	requirements, selectable := selector.Requirements()
	values := 0
	for i := range requirements {
		values += 1 + requirements[i].Values().Len()
	}
	// selectable is false for labels.Nothing(), because requirements cannot express this selector.
	return selectable && values <= maxRequirements
}

// field returns the value of a field for a field selector, or an empty string. path is the name, split at its dots.
func (o *Object) field(name string, path []string) string {
	switch name {
	case nameField:
		return o.Name
	case namespaceField:
		return o.Namespace
	default:
		return textAt(o.JSON, path...)
	}
}
