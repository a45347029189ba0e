// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/environment"
)

// resident returns the resident memory of a process in MiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nVmRSS:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes >> 10
}

// TestLabelledObjectsOfOthers: whoever may write Roles in one namespace may label them as KubeVision's, and make them
// as large as etcd takes. They take no room in the program that revokes everybody's rights.
func TestLabelledObjectsOfOthers(t *testing.T) {
	if environment.RaceEnabled {
		t.Skip("the race detector takes several times the memory")
	}
	const roles, most = 40, 60
	ns := fixture.Set{Client: env.Client}.Namespace(t, "labelled")
	rules := make([]rbacv1.PolicyRule, 18_000)
	for i := range rules {
		rules[i] = rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	}
	pid := env.KubeVision.ControllerManager().PID()
	before := resident(t, pid)
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
	after := 0
	for range 10 { // what is read is dropped in time
		time.Sleep(2 * time.Second)
		if after = resident(t, pid); after < before+most {
			break
		}
	}
	t.Logf("%d MiB, %d before", after, before)
	if after > before+most {
		t.Errorf("%d Roles of somebody else take %d MiB", roles, after-before)
	}
}
