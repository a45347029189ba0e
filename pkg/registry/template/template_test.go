// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

func configMap(name, manifest string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: name, Labels: map[string]string{names.TemplateLabel: ""},
		},
		Data: map[string]string{keyResource: "pods", keyManifest: manifest},
	}
}

// TestManyTemplates verifies that the number of templates and of warnings in a response is bounded.
func TestManyTemplates(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var all []client.Object
	for i := range maxTemplates + 1 {
		all = append(all, configMap(fmt.Sprintf("good-%d", i), "kind: Pod"), configMap(fmt.Sprintf("bad-%d", i), "[}"))
	}
	e := &Provider{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(all...).Build()}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/templates", http.NoBody)
	result, err := e.list(&routes.Request{Request: request}, nil)
	if err != nil {
		t.Fatal(err)
	}
	shown, _ := result.Data.([]dashboardv1alpha1.Template)
	if len(shown) != maxTemplates || len(result.Meta.Warnings) != maxTemplates {
		t.Errorf("%d templates and %d warnings are shown", len(shown), len(result.Meta.Warnings))
	}
}

// TestTrim verifies that Trim removes the parts of a ConfigMap that a template does not use, and truncates long values.
func TestTrim(t *testing.T) {
	c := configMap("x", strings.Repeat("m", 1<<20))
	c.Data[keyName], c.Data["other"] = strings.Repeat("n", 1<<10), strings.Repeat("o", 1<<10)
	c.Annotations = map[string]string{"a": strings.Repeat("a", 1<<10)}
	got, err := Trim(c)
	if err != nil {
		t.Fatal(err)
	}
	trimmed, ok := got.(*corev1.ConfigMap)
	if !ok {
		t.Fatalf("it is a %T", got)
	}
	if len(trimmed.Data[keyManifest]) != maxManifestBytes+1 || len(trimmed.Data[keyName]) != maxValueBytes ||
		trimmed.Data["other"] != "" || trimmed.Annotations != nil || trimmed.Data[keyResource] != "pods" {
		t.Errorf("it becomes %.200v", trimmed)
	}
	if _, err := read(trimmed); err == nil {
		t.Error("a template that was cut is read")
	}
}
