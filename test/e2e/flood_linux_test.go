// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const (
	// floodSize is the number of requests that one user sends at once.
	floodSize = 300
	// pause is the time between two requests of a sender: seats are to be scarce, not processors.
	pause = 300 * time.Millisecond
	// floodTime is the time for which they are sent.
	floodTime = 6 * time.Second
	// bystanderWaits bounds the requests of another user of the host.
	bystanderWaits = time.Second
)

// testFlood verifies that a user who sends many requests for a cluster that does not respond, through kube-apiserver,
// keeps no other user of the host waiting.
func testFlood(t *testing.T) {
	d := doors(t)[1]
	p := newPerson(t, d, "readonly")
	bystander := newBystander(t)
	ctx, stop := context.WithTimeout(t.Context(), floodTime)
	defer stop()
	member := world.member.APIServer().PID()
	sendSignal(t, member, syscall.SIGSTOP)
	defer sendSignal(t, member, syscall.SIGCONT)
	var wg sync.WaitGroup
	for i := range floodSize {
		wg.Go(func() {
			path := fmt.Sprintf("/clusters/%s/resources/pods?limit=%d", memberName, i+1)
			for ctx.Err() == nil {
				_, _ = d.client.Do(ctx, p.request(path)) // it fails, since the cluster does not respond
				time.Sleep(pause)
			}
		})
	}
	var waits []time.Duration
	for ctx.Err() == nil {
		begun := time.Now()
		err := bystander.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(metav1.NamespaceSystem))
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			t.Errorf("another user: %v", err)
		}
		waits = append(waits, time.Since(begun))
	}
	wg.Wait()
	if len(waits) == 0 {
		t.Fatalf("no request of another user ends within %s", floodTime)
	}
	slices.Sort(waits)
	longest := waits[len(waits)-1]
	fmt.Fprintf(os.Stderr, "%s: %d requests of another user, p50 %s, longest %s\n", t.Name(), len(waits),
		waits[len(waits)/2].Round(time.Millisecond), longest.Round(time.Millisecond))
	if longest > bystanderWaits {
		t.Errorf("a request of another user has waited %s", longest)
	}
}

// newBystander returns a client of a user of the host who has nothing to do with KubeVision.
func newBystander(t *testing.T) client.Client {
	t.Helper()
	name := fixture.Name("bystander")
	world.host.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	c, err := client.New(userConfig(t, name), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "have the right", func(ctx context.Context) error {
		return c.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(metav1.NamespaceSystem))
	})
	return c
}
