// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objectquota

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// counts contains the number of objects of each kind, and their total size in bytes.
type counts struct {
	users, clusters, roleBindings int
	bytes                         int64
}

func (c counts) quotaParameter(l Limits, countTime time.Time) *kubevisionv1alpha1.ObjectQuotaParameter {
	usage := func(used, limit int) kubevisionv1alpha1.ObjectQuotaUsage {
		return kubevisionv1alpha1.ObjectQuotaUsage{Used: int64(used), Limit: int64(limit)}
	}
	return &kubevisionv1alpha1.ObjectQuotaParameter{
		CountTime: metav1.NewTime(countTime.UTC()), Users: usage(c.users, l.Users),
		Clusters: usage(c.clusters, l.Clusters), RoleBindings: usage(c.roleBindings, l.RoleBindings),
		Bytes: kubevisionv1alpha1.ObjectQuotaUsage{Used: c.bytes, Limit: l.Bytes},
	}
}

// verdict says whether the current usage has reached a limit. The field flag is the name of the command-line flag that
// sets the limit, for example --max-users.
type verdict struct {
	flag    string
	limit   int64
	reached bool
}

// verdicts compares the current usage in p with the limits in p. For each limit, it returns a verdict, which says
// whether the limit is reached.
func verdicts(p *kubevisionv1alpha1.ObjectQuotaParameter) []verdict {
	conclude := func(flag string, u kubevisionv1alpha1.ObjectQuotaUsage) verdict {
		return verdict{flag: flag, limit: u.Limit, reached: u.Used >= u.Limit}
	}
	return []verdict{
		conclude("--max-users", p.Users), conclude("--max-clusters", p.Clusters),
		conclude("--max-role-bindings", p.RoleBindings), conclude("--max-object-bytes", p.Bytes),
	}
}

// size is the size of an object at one resource version.
type size struct {
	version string
	bytes   int64
}

// sizes contains the size of each object by UID, so that only changed objects are encoded again.
type sizes map[types.UID]size

// measure returns the size of an object in bytes, and stores it in newSizes. It takes the size from s if the object has
// not changed.
func (s sizes) measure(o client.Object, newSizes sizes) (int64, error) {
	known, ok := s[o.GetUID()]
	if !ok || known.version != o.GetResourceVersion() {
		encoded, err := json.Marshal(o)
		if err != nil {
			return 0, fmt.Errorf("encoding %s: %w", o.GetName(), err)
		}
		known = size{version: o.GetResourceVersion(), bytes: int64(len(encoded))}
	}
	newSizes[o.GetUID()] = known
	return known.bytes, nil
}
