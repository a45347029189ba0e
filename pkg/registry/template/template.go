// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template serves example manifests. Each of them is stored in a ConfigMap with the label names.TemplateLabel
// in KubeVision's namespace. Operators can add their own ConfigMaps.
package template

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/manifest"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Keys of the data of a ConfigMap with a template.
const (
	keyName     = "name"
	keyCategory = "category"
	keyResource = "resource"
	keyManifest = "manifest"
)

const (
	// maxTemplates bounds the number of templates in a response.
	maxTemplates = 100
	// maxManifestBytes bounds the length of the manifest of a template, in bytes.
	maxManifestBytes = 32 << 10
	// maxValueBytes is the maximum length of the name of a template, in bytes. The same maximum applies to the category
	// and to the resource of a template.
	maxValueBytes = 253
)

const queryCategory = "category"

// Provider provides the endpoints of this package.
type Provider struct {
	// Reader reads the ConfigMaps with the label names.TemplateLabel from a cache. The cache uses Trim as its transform
	// function.
	Reader client.Reader
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodGet, Path: "/templates", Operation: "listTemplates",
		Doc: "list template manifests", Returns: dashboardv1alpha1.TemplateListEnvelope{},
		Parameters: map[string]string{queryCategory: "return only templates of this category"},
		Endpoint:   routes.Self(e.list),
	}}
}

// Trim is a cache transform function. It returns a copy of a ConfigMap with only the parts that a template uses. Long
// values are truncated. Trim returns any other object unchanged.
func Trim(o any) (any, error) {
	c, ok := o.(*corev1.ConfigMap)
	if !ok {
		return o, nil
	}
	trimmed := &corev1.ConfigMap{Data: map[string]string{}}
	trimmed.Namespace, trimmed.Name, trimmed.UID = c.Namespace, c.Name, c.UID
	trimmed.ResourceVersion, trimmed.CreationTimestamp = c.ResourceVersion, c.CreationTimestamp
	trimmed.Labels = map[string]string{names.TemplateLabel: c.Labels[names.TemplateLabel]}
	for _, key := range []string{keyName, keyCategory, keyResource} {
		trimmed.Data[key] = cut(c.Data[key], maxValueBytes)
	}
	// An additional byte shows that the manifest is too long.
	trimmed.Data[keyManifest] = cut(c.Data[keyManifest], maxManifestBytes+1)
	return trimmed, nil
}

// cut returns a copy of the first limit bytes of text. Without the copy, the whole text would stay in memory.
func cut(text string, limit int) string { return string([]byte(text[:min(len(text), limit)])) }

// list returns the valid templates of the category in the query, or of all categories if the query has none. The
// warnings of the response name the invalid templates of all categories.
func (e *Provider) list(r *routes.Request, _ user.Info) (routes.Result, error) {
	var found corev1.ConfigMapList
	err := e.Reader.List(r.Context(), &found, client.InNamespace(names.Namespace), client.UnsafeDisableDeepCopy)
	if err != nil {
		return routes.Result{}, fmt.Errorf("listing templates: %w", err)
	}
	var warnings []string
	out := make([]dashboardv1alpha1.Template, 0, len(found.Items))
	for i := range found.Items {
		c := &found.Items[i]
		var t dashboardv1alpha1.Template
		var err error
		size := min(len(c.Data[keyManifest]), maxManifestBytes)
		if err := r.Decode(size, func() { t, err = read(c) }); err != nil {
			return routes.Result{}, err
		}
		switch {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("the template %q is omitted: %s", c.Name, err))
		case r.Query(queryCategory) == "" || r.Query(queryCategory) == t.Category:
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b dashboardv1alpha1.Template) int {
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	result := hostobjects.List(out[:min(len(out), maxTemplates)])
	slices.Sort(warnings)
	result.Meta.Warnings = warnings[:min(len(warnings), maxTemplates)]
	return result, nil
}

func read(c *corev1.ConfigMap) (dashboardv1alpha1.Template, error) {
	t := dashboardv1alpha1.Template{
		ID: c.Name, CreatedAt: c.CreationTimestamp, Name: cmp.Or(c.Data[keyName], c.Name),
		Category: c.Data[keyCategory], ResourceType: c.Data[keyResource],
		IsBuiltin: c.Labels[names.TemplateLabel] == names.BuiltinTemplate,
	}
	switch {
	case t.ResourceType == "":
		return t, errors.New("it has no " + keyResource)
	case len(c.Data[keyManifest]) > maxManifestBytes:
		return t, fmt.Errorf("its %s is larger than %d bytes", keyManifest, maxManifestBytes)
	}
	object, err := manifest.Parse(manifest.YAML, []byte(c.Data[keyManifest]))
	if err != nil {
		return t, errors.New(envelope.As(err).Message)
	}
	text, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return t, fmt.Errorf("its %s cannot be encoded: %w", keyManifest, err)
	}
	t.Content = string(text)
	return t, nil
}
