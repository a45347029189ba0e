// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/dial"
)

// TestIdentity: registrations that lead to one cluster are one target, the host's is the host, and a registration gets nothing of another one of its name.
func TestIdentity(t *testing.T) {
	host, one, twin, other := &Cluster{ID: "host"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}, &Cluster{ID: "2"}
	r := NewRegistry(host, nil, nil, dial.Policy{})
	open := func(name string, uid types.UID, c *Cluster) {
		r.members[name] = &member{revision: clusters.Revision{Cluster: uid}, cluster: c}
	}
	open("a", "a", one)
	open("b", "b", twin)
	open("c", "c", other)
	open("d", "d", &Cluster{ID: "host"})
	open("e", "e", nil)
	for name, test := range map[string]struct {
		registration string
		uid          types.UID
		want         *Cluster
	}{
		"a cluster":            {"a", "a", one},
		"its other name":       {"b", "b", one},
		"another cluster":      {"c", "c", other},
		"the host":             {"d", "d", host},
		"not connected":        {"e", "e", nil},
		"not open":             {"f", "f", nil},
		"registered once more": {"c", "other", nil},
	} {
		registered := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: test.registration, UID: test.uid}}
		got, err := r.Get(registered)
		if got != test.want || (err == nil) != (test.want != nil) || (err != nil && !errors.Is(err, clusters.ErrNotConnected)) {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
	if all := r.All(); !slices.Equal(all, []*Cluster{host, one, other}) {
		t.Errorf("all are %v", all)
	}
}

// TestAViewStays as it was, whatever is connected or closed meanwhile: what is planned for a cluster is done there, and nothing is taken back from
// one for which nothing was planned only because it could not be reached then.
func TestAViewStays(t *testing.T) {
	host, one, again, late := &Cluster{ID: "host"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}, &Cluster{ID: "2"}
	r := NewRegistry(host, nil, nil, dial.Policy{})
	r.members["a"] = &member{revision: clusters.Revision{Cluster: "a"}, cluster: one}
	v := r.View()
	r.members["a"] = &member{revision: clusters.Revision{Cluster: "a"}, cluster: again}
	r.members["b"] = &member{revision: clusters.Revision{Cluster: "b"}, cluster: late}
	a := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "a"}}
	b := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "b", UID: "b"}}
	if got, err := v.Get(a); got != one || err != nil || !slices.Equal(v.All(), []*Cluster{host, one}) {
		t.Errorf("the registration leads to %v (%v), and all are %v", got, err, v.All())
	}
	if got, err := v.Get(b); !errors.Is(err, clusters.ErrNotConnected) {
		t.Errorf("what was connected later is %v (%v)", got, err)
	}
	if got, err := r.Get(a); got != again || err != nil {
		t.Errorf("now the registration leads to %v (%v)", got, err)
	}
}

// TestRetired: what is being cleaned is for nobody but whoever cleans it, also when it is connected again for that, and stands for no twin.
func TestRetired(t *testing.T) {
	host, one, twin := &Cluster{ID: "host"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}
	r := NewRegistry(host, nil, nil, dial.Policy{})
	going := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "a"}}
	staying := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "b", UID: "b"}}
	r.Retire(going)
	r.members["a"] = &member{revision: clusters.Revision{Cluster: "a"}, cluster: one}
	if all := r.All(); !slices.Equal(all, []*Cluster{host}) {
		t.Errorf("all are %v", all)
	}
	if got, err := r.Get(going); !errors.Is(err, clusters.ErrNotConnected) {
		t.Errorf("everybody gets %v (%v)", got, err)
	}
	if got, err := r.Retired(going); got != one || err != nil {
		t.Errorf("whoever cleans gets %v (%v)", got, err)
	}
	r.members["b"] = &member{revision: clusters.Revision{Cluster: "b"}, cluster: twin}
	if got, err := r.Get(staying); got != twin || err != nil {
		t.Errorf("the other registration leads to %v (%v)", got, err)
	}
}
