// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package views_test

import (
	"fmt"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// namespace contains the fields that a dashboard reads to let the user select a namespace.
type namespace struct {
	APIVersion, Kind string
	Metadata         struct{ Name string }
}

// TestNamespacesOfACaller verifies that callers who may not list namespaces get the namespaces that they may read.
func TestNamespacesOfACaller(t *testing.T) {
	w := newWorld(t)
	limited, all := newViewer(t, "readonly", w.mine), newViewer(t, "readonly")
	const path = onHost + "/resources/namespaces"
	w.check(t, "the list of namespaces", limited.get(t, path))
	got, meta := read[[]namespace](t, limited, path)
	if len(got) != 1 || got[0].Metadata.Name != w.mine || got[0].Kind != "Namespace" || got[0].APIVersion != "v1" {
		t.Errorf("the namespaces are %+v", got)
	}
	if !meta.Partial || !slices.Equal(meta.Namespaces, []string{w.mine}) || meta.Total == nil || *meta.Total != 1 {
		t.Errorf("meta is %+v", meta)
	}
	for query, want := range map[string]int{
		"labelSelector=kubernetes.io/metadata.name%3D" + w.mine: 1, "labelSelector=none": 0,
		"fieldSelector=metadata.name%3D" + w.mine: 1, "fieldSelector=status.phase%3DTerminating": 0,
		"q=" + w.mine: 1, "q=" + w.hidden: 0, "sortBy=name&limit=1": 1,
	} {
		got, meta := read[[]namespace](t, limited, path+"?"+query)
		if len(got) != want || !meta.Partial || meta.Total == nil || *meta.Total != int64(want) {
			t.Errorf("%s: %+v, %+v", query, got, meta)
		}
	}
	if e := limited.get(t, path+"?fieldSelector=spec.nothing%3Dx").Want(t,
		wire.Invalid); e.Meta.Field != "fieldSelector" {
		t.Errorf("the field is %q (%s)", e.Meta.Field, e.Message)
	}
	found, _ := read[dashboardv1alpha1.SearchResults](t, limited, onHost+"/search?types=namespaces&q="+w.mine)
	if found.Total != 1 || found.Results[0].Items[0].Name != w.mine {
		t.Errorf("found %+v", found)
	}
	got, meta = read[[]namespace](t, all, path)
	if len(got) < 5 || meta.Partial {
		t.Errorf("a user who may list them sees %d, %+v", len(got), meta)
	}
	limited.bind(t, "readonly", w.theirs)
	becomes(t, limited, path, func(got []namespace) error {
		if len(got) != 2 {
			return fmt.Errorf("of two namespaces: %+v", got)
		}
		return nil
	})
}

// TestNamespacesOfNobody verifies that callers who may read no namespace get an error.
func TestNamespacesOfNobody(t *testing.T) {
	w := newWorld(t)
	powerless := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("powerless")},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"},
		}},
	}
	set().Create(t, powerless)
	nobody := newViewer(t, powerless.Name, w.mine)
	nobody.get(t, onHost+"/resources/namespaces").Want(t, wire.Forbidden)
}
