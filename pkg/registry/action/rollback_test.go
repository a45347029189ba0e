// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

func TestChoose(t *testing.T) {
	three := []revision{{number: 2}, {number: 5}, {number: 7}}
	for name, tc := range map[string]struct {
		revisions []revision
		number    int64
		want      int64
		code      dashboardv1alpha1.Code
	}{
		"the one before":                      {three, 0, 5, 0},
		"the oldest":                          {three, 2, 2, 0},
		"the current one":                     {three, 7, 7, 0},
		"a deleted revision":                  {three, 3, 0, dashboardv1alpha1.CodeNotFound},
		"before the only one":                 {three[:1], 0, 0, dashboardv1alpha1.CodeConflict},
		"before the first, without revisions": {nil, 0, 0, dashboardv1alpha1.CodeConflict},
	} {
		got, err := findRevision(objectref.Target{Name: "web"}, tc.revisions, tc.number)
		switch {
		case tc.code == 0 && (err != nil || got.number != tc.want):
			t.Errorf("%s: %v %v", name, got, err)
		case tc.code != 0 && envelope.As(err).Code != tc.code:
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSteps verifies that the JSON patch of a rollback tests the old value of each field that the patch replaces.
// Therefore, a concurrent change causes a conflict. The patch keeps the annotations of the Deployment controller.
func TestSteps(t *testing.T) {
	before := map[string]string{revisionAnnotation: "7", changeCauseAnnotation: "new", "gone": "x"}
	w := &workload{Metadata: metav1.ObjectMeta{UID: "42", Annotations: before}}
	w.Spec.Template = object{"metadata": object{}}
	chosen := &revision{template: object{"spec": object{}}, metadata: metav1.ObjectMeta{Annotations: map[string]string{
		revisionAnnotation: "5", changeCauseAnnotation: "old", "deployment.kubernetes.io/desired-replicas": "9",
	}}}
	want := []step{
		{"test", "/metadata/uid", types.UID("42")},
		{"test", "/spec/template", object{"metadata": object{}}},
		{"test", "/spec/paused", nil},
		{"replace", "/spec/template", object{"spec": object{}}},
		{"test", "/metadata/annotations", before},
		{"add", "/metadata/annotations", map[string]string{revisionAnnotation: "7", changeCauseAnnotation: "old"}},
	}
	if diff := cmp.Diff(want, patchSteps(w, chosen, true)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:4], patchSteps(w, chosen, false)); diff != "" {
		t.Error(diff)
	}
}
