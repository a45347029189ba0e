// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objectquota

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// Keys of the ConfigMap that the policy in config/admission reads. The plural of a kind is a key while no more
// objects of that kind may be created; its value is the reason.
const (
	// bytesKey is present while no object may be created or grow; its value is the reason.
	bytesKey = "bytes"
	// countedKey holds the time of the count. The policy rejects requests if it is minutes old.
	countedKey = "counted"
	// objectsKey holds the number of objects, for information.
	objectsKey = "objects"
)

// counts holds the number and the size of the objects.
type counts struct {
	users, clusters, roleBindings int
	bytes                         int64
}

// refusals returns the reasons for which the host must reject objects, by the keys of the ConfigMap. The reasons do
// not contain the current numbers, which would cause a write for each object.
func (c counts) refusals(l Limits) map[string]string {
	out := map[string]string{}
	for _, kind := range []struct {
		resource, flag string
		number, limit  int
	}{
		{kubevisionv1alpha1.ResourceUsers, "--max-users", c.users, l.Users},
		{kubevisionv1alpha1.ResourceClusters, "--max-clusters", c.clusters, l.Clusters},
		{kubevisionv1alpha1.ResourceRoleBindings, "--max-role-bindings", c.roleBindings, l.RoleBindings},
	} {
		if kind.number >= kind.limit {
			out[kind.resource] = fmt.Sprintf("the number of %s has reached %s of kubevision-controller-manager, %d: "+
				"delete those that are not needed, or raise the flag", kind.resource, kind.flag, kind.limit)
		}
	}
	if c.bytes >= l.Bytes {
		out[bytesKey] = fmt.Sprintf(
			"the size of the users, clusters and role bindings of KubeVision has reached --max-object-bytes "+
				"of kubevision-controller-manager, %d: delete those that are not needed, or raise the flag", l.Bytes)
	}
	return out
}

func (c counts) String() string {
	return fmt.Sprintf("%d users, %d clusters, %d role bindings, %d bytes", c.users, c.clusters, c.roleBindings,
		c.bytes)
}

// size is the size of one version of an object.
type size struct {
	version string
	bytes   int64
}

// sizes caches the size of each object, so that only changed objects are encoded.
type sizes map[types.UID]size

// add returns the size of an object, and stores it in next.
func (s sizes) add(next sizes, o client.Object) (int64, error) {
	known, ok := s[o.GetUID()]
	if !ok || known.version != o.GetResourceVersion() {
		encoded, err := json.Marshal(o)
		if err != nil {
			return 0, fmt.Errorf("encoding %s: %w", o.GetName(), err)
		}
		known = size{version: o.GetResourceVersion(), bytes: int64(len(encoded))}
	}
	next[o.GetUID()] = known
	return known.bytes, nil
}
