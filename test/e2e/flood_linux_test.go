// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const (
	// floodSize is the number of requests that one user sends at once.
	floodSize = 300
	// pause is the time between two requests of a sender. With this pause, the requests use up the seats of API
	// Priority and Fairness, but not the processors.
	pause     = 300 * time.Millisecond
	floodTime = 6 * time.Second
	// maxQueueWait is the maximum time, in seconds, for which a request may wait in a queue of kube-apiserver. It must
	// be a bucket bound of the metric apiserver_flowcontrol_request_wait_duration_seconds.
	maxQueueWait = 1.0
	// minFloodRequests is the minimum number of requests that the flood must send through kube-apiserver. It equals the
	// default limit of KubeVision for concurrent requests of one user.
	minFloodRequests = 64

	dashboardLevel = "kubevision-dashboard"
	userLevel      = "global-default"
)

// testFlood verifies that one user cannot delay other users of kube-apiserver. The user sends many requests through
// kube-apiserver to a cluster that does not respond.
func testFlood(t *testing.T) {
	d := doors(t)[1]
	p := newPerson(t, d, "readonly")
	bystander := newBystander(t)
	before := readWaitCounts(t)
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
				_, _ = d.client.Do(ctx, p.request(path)) // the request fails, because the cluster does not respond
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
	after := readWaitCounts(t)
	if len(waits) == 0 {
		t.Fatalf("no request of another user ends within %s", floodTime)
	}
	slices.Sort(waits)
	dashboard, others := after[dashboardLevel].minus(before[dashboardLevel]), after[userLevel].minus(before[userLevel])
	fmt.Fprintf(os.Stderr, "%s: %d requests for the dashboard; %d of another user, p50 %s, longest %s; %d of %d at "+
		"the level %s have waited long in a queue\n", t.Name(), dashboard.all, len(waits),
		waits[len(waits)/2].Round(time.Millisecond), waits[len(waits)-1].Round(time.Millisecond), others.long(),
		others.all, userLevel)
	if dashboard.all < minFloodRequests {
		t.Errorf("%d requests have reached the level of the dashboard, want %d or more", dashboard.all,
			minFloodRequests)
	}
	if others.all < uint64(len(waits)) || others.long() > 0 {
		t.Errorf("%d of %d requests of other users have waited long in a queue", others.long(), others.all)
	}
}

// waitCounts contains numbers of requests at one priority level of kube-apiserver.
type waitCounts struct {
	// all is the number of all requests. short is the number of requests that waited in a queue for at most
	// maxQueueWait.
	all, short uint64
}

func (c waitCounts) minus(other waitCounts) waitCounts {
	return waitCounts{all: c.all - other.all, short: c.short - other.short}
}

func (c waitCounts) long() uint64 { return c.all - c.short }

func readWaitCounts(t *testing.T) map[string]waitCounts {
	t.Helper()
	text := world.host.must(t, "get", "--raw", "/metrics") + "\n" // the last line must end with a line feed
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]waitCounts{}
	for _, m := range families["apiserver_flowcontrol_request_wait_duration_seconds"].GetMetric() {
		level := ""
		for _, label := range m.GetLabel() {
			if label.GetName() == "priority_level" {
				level = label.GetValue()
			}
		}
		counts := out[level]
		counts.all += m.GetHistogram().GetSampleCount()
		for _, bucket := range m.GetHistogram().GetBucket() {
			if bucket.GetUpperBound() == maxQueueWait {
				counts.short += bucket.GetCumulativeCount()
			}
		}
		out[level] = counts
	}
	return out
}

// newBystander returns the Kubernetes client of a new user who does not use KubeVision.
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
