// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestTemplates verifies that each built-in template can be created in a namespace with the strictest Pod Security
// level.
func TestTemplates(t *testing.T) {
	b := newBrowser(t, "admin")
	strict := map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("templates"), Labels: strict}}
	set().Create(t, namespace)
	var kinds []string
	for _, template := range read[[]dashboardv1alpha1.Template](t, b, "/templates") {
		if !template.IsBuiltin {
			continue
		}
		kinds = append(kinds, template.ResourceType)
		if template.Name == "" || template.Category == "" || template.CreatedAt.IsZero() {
			t.Errorf("a template is incomplete: %+v", template)
		}
		path := onHost + "/resources/" + template.ResourceType + "?namespace=" + namespace.Name
		e := b.call(t, http.MethodPost, path, json.RawMessage(template.Content))
		if e.Code != wire.OK || strings.Contains(string(e.Raw), "warnings") {
			t.Errorf("%s: %s", template.Name, e.Raw)
		}
	}
	slices.Sort(kinds)
	want := []string{
		"cronjobs", "daemonsets", "deployments", "ingresses", "jobs", "persistentvolumeclaims", "services",
		"statefulsets",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("there are templates for %v", kinds)
	}
}

// TestTemplatesOfOperators verifies that a ConfigMap with the label kubevision.io/template becomes a template. If the
// ConfigMap is invalid, the list of templates omits it and contains a warning.
func TestTemplatesOfOperators(t *testing.T) {
	b := newBrowser(t, "")
	category := fixture.Name("category")
	create := func(data map[string]string) string {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: fixture.SystemNamespace, Name: fixture.Name("template"),
			Labels: map[string]string{"kubevision.io/template": ""},
		}, Data: data}
		set().Create(t, c)
		return c.Name
	}
	const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: 'b'}"
	good := create(map[string]string{"category": category, "resource": "configmaps", "manifest": manifest})
	broken := []string{
		create(map[string]string{"resource": "pods", "manifest": "a: [b"}),
		create(map[string]string{"manifest": manifest}),
		create(map[string]string{"resource": "pods", "manifest": manifest + "\n# " + strings.Repeat("x", 32<<10)}),
		create(map[string]string{"resource": "pods"}),
	}
	fixture.Eventually(t, "wait for the templates", func(ctx context.Context) error {
		response, err := b.client.Do(ctx, b.request(t, http.MethodGet, "/templates?category="+category, nil))
		if err != nil {
			return err
		}
		e, err := response.Parse()
		if err != nil {
			return err
		}
		for _, name := range append([]string{good}, broken...) {
			if !strings.Contains(string(e.Raw), name) {
				return fmt.Errorf("%s does not exist yet: %s", name, e.Raw)
			}
		}
		var found []dashboardv1alpha1.Template
		e.Into(t, &found)
		if len(found) != 1 || found[0].ID != good || found[0].Name != good || found[0].IsBuiltin ||
			!json.Valid([]byte(found[0].Content)) || !strings.Contains(found[0].Content, `"a": "b"`) {
			return fmt.Errorf("found %+v", found)
		}
		return nil
	})
}
