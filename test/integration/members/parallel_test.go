// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"net/http"
	"strings"
	"testing"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// TestRemovalIsParallel: a member that does not answer when something is taken away delays no other one. It has the first identity of all, so that
// it would come first.
func TestRemovalIsParallel(t *testing.T) {
	member := theOther(t)
	good := register(t, member.Config(), nil)
	ready(t, good)
	const first = "00000000-0000-4000-8000-000000000000"
	slowOne := newImpostor(t, theHost(), first)
	silent, answer := make(chan struct{}), slowOne.instead
	slowOne.set(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
			if strings.Contains(r.URL.Path, "rbac.authorization.k8s.io") && r.URL.Query().Get("watch") == "" {
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			}
		default:
		}
		answer(next, w, r)
	})
	c := register(t, slowOne.config(), nil)
	p := login(t, "removed")
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	b.Name = fixture.Name("removed")
	b.Spec = kubevisionv1alpha1.KubeVisionRoleBindingSpec{
		Subjects: fixture.KubeVisionUsers(p.User), RoleRef: kubevisionv1alpha1.RoleReference{Name: kubevisionv1alpha1.RoleReadonly},
		Clusters: kubevisionv1alpha1.ClusterTargets{Names: []string{good.Name, c.Name}},
	}
	set().Create(t, b)
	ready(t, c)
	member.granted(t, b, true)
	close(silent)
	t.Cleanup(func() { slowOne.set(answer) })
	begun := time.Now()
	set().Delete(t, b)
	member.granted(t, b, false)
	if took := time.Since(begun); took > repairTime {
		t.Errorf("it took %s", took)
	}
	slowOne.set(answer)
	set().Gone(t, b)
}
