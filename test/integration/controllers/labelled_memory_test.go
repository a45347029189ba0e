// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/environment"
)

func residentMiB(t *testing.T, pid int) uint64 {
	t.Helper()
	memory, err := localcluster.ReadMemory(pid)
	if err != nil {
		t.Fatal(err)
	}
	return memory.Resident >> 20
}

// TestLabelledObjectsOfOthers verifies that large Roles in one namespace hardly increase the memory of
// kubevision-controller-manager, even if they have the label of KubeVision's own Roles. If the memory increased, a
// tenant could stop the program, and rights would not be revoked.
func TestLabelledObjectsOfOthers(t *testing.T) {
	if environment.DetectsRaces() {
		t.Skip("the race detector needs several times the memory")
	}
	const roles, most = 40, 60
	ns := fixture.Set{Client: env.Client}.Namespace(t, "labelled")
	rules := make([]rbacv1.PolicyRule, 18_000)
	for i := range rules {
		rules[i] = rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	}
	pid := env.KubeVision.ControllerManager().PID()
	before := residentMiB(t, pid)
	var all errgroup.Group
	all.SetLimit(4)
	for n := range roles {
		all.Go(func() error {
			return env.Client.Create(context.WithoutCancel(t.Context()), &rbacv1.Role{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: ns, Name: fmt.Sprintf("large-%d", n),
					Labels: map[string]string{"app.kubernetes.io/managed-by": "kubevision"},
				},
				Rules: rules,
			})
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	after := uint64(0)
	for range 10 { // the garbage collector needs some time
		time.Sleep(2 * time.Second)
		if after = residentMiB(t, pid); after < before+most {
			break
		}
	}
	t.Logf("%d MiB, %d before", after, before)
	if after > before+most {
		t.Errorf("%d foreign Roles need %d MiB", roles, after-before)
	}
}
