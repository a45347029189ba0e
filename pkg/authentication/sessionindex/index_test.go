// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sessionindex

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func session(name string, user types.UID, age time.Duration, address string) *kubevisionv1alpha1.KubeVisionSession {
	return &kubevisionv1alpha1.KubeVisionSession{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(start.Add(-age))},
		Spec: kubevisionv1alpha1.KubeVisionSessionSpec{
			UserUID: user, Client: kubevisionv1alpha1.SessionClient{Address: address},
		},
	}
}

func named(t *testing.T, found []Session, want ...string) {
	t.Helper()
	var got []string
	for _, s := range found {
		got = append(got, s.Name)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v must end, want %v", got, want)
	}
}

// TestExcess verifies which sessions the method Excess selects:
//   - If one user has too many sessions, Excess selects the least recently used sessions of this user.
//   - If all users together have too many sessions, Excess selects the least recently used session of the user with the
//     most sessions.
func TestExcess(t *testing.T) {
	index := &Index{}
	handler := index.Handler()
	for i := range 5 {
		handler.OnAdd(session(fmt.Sprintf("a%d", i), "a", time.Duration(10-i)*time.Hour, "192.0.2.1"), true)
	}
	handler.OnAdd(session("b0", "b", 100*time.Hour, "2001:db8:1:2::1"), true)
	renewed := session("a0", "a", 10*time.Hour, "192.0.2.1")
	renewed.Spec.RotationTime = &metav1.Time{Time: start}
	handler.OnUpdate(session("a0", "a", 10*time.Hour, "192.0.2.1"), renewed)

	named(t, index.Excess("a", 1, Limits{PerUser: 6, Total: 7}))
	named(t, index.Excess("a", 1, Limits{PerUser: 5, Total: 100}), "a1")
	named(t, index.Excess("a", 0, Limits{PerUser: 3, Total: 100}), "a1", "a2")
	named(t, index.Excess("a", 1, Limits{PerUser: 1, Total: 1}), "a1", "a2", "a3", "a4", "a0")
	named(t, index.Excess("b", 1, Limits{PerUser: 100, Total: 6}), "a1")
	named(t, index.Excess("c", 1, Limits{PerUser: 100, Total: 6}), "a1")
	named(t, index.Excess("c", 1, Limits{PerUser: 1, Total: 100}))

	for address, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.2.2": false, "2001:db8:1:2:ffff::9": true,
		"2001:db8:1:3::1": false,
	} {
		if got := index.HasSessionFrom(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is known: %v", address, got)
		}
	}
	for i := range 5 {
		handler.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: session(fmt.Sprintf("a%d", i), "a", 0, "")})
	}
	handler.OnDelete(session("b0", "b", 0, ""))
	handler.OnDelete(session("b0", "b", 0, ""))
	if index.HasSessionFrom(netip.MustParseAddr("192.0.2.1")) || index.HasSessionFrom(netip.Addr{}) ||
		index.Has("a0") ||
		len(index.names)+len(index.users)+len(index.networks) > 0 {
		t.Errorf("left behind: %v, %v, %v", index.names, index.users, index.networks)
	}
}
