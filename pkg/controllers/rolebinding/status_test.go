// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// TestStatusOfManyClusters verifies that the status of a role binding for many clusters is truncated to a size that
// etcd can store. For few clusters, the status must be complete.
func TestStatusOfManyClusters(t *testing.T) {
	const most = 1 << 20
	for count, whole := range map[int]bool{1: true, 10: true, 1000: false} {
		all := make([]kubevisionv1alpha1.RoleBindingClusterStatus, count)
		for i := range all {
			all[i] = kubevisionv1alpha1.RoleBindingClusterStatus{
				Name: fmt.Sprintf("%063d", i), Status: "False", Reason: kubevisionv1alpha1.ReasonNotConnected,
				ClusterRole: strings.Repeat("r", 63), Message: strings.Repeat("m", 1024),
			}
			for n := range maxNamespaces {
				all[i].Namespaces = append(all[i].Namespaces, fmt.Sprintf("%063d", n))
			}
		}
		truncateStatuses(all)
		raw, err := json.Marshal(all)
		if err != nil || len(raw) > most {
			t.Errorf("the status of %d clusters has %d bytes: %v", count, len(raw), err)
		}
		for _, c := range all {
			if isWhole := len(c.Namespaces) == maxNamespaces && len(c.Message) == 1024; isWhole != whole ||
				len(c.Namespaces) == 0 {
				t.Fatalf("of %d clusters, one names %d namespaces and has a message of %d bytes",
					count, len(c.Namespaces), len(c.Message))
			}
		}
	}
}
