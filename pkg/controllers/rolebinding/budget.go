// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
)

const (
	// clusterBudget bounds the estimated size of the objects of all bindings in the etcd of one cluster, in bytes. 50
	// bindings in 1,000 namespaces need 56 MiB.
	clusterBudget = 128 << 20
	// bindingBudget bounds the size of the objects of one binding on one cluster, in bytes. Each change of the subjects
	// writes all objects again, and etcd keeps the previous revisions for some minutes.
	bindingBudget = 16 << 20

	// objectBytes is the estimated size of a RoleBinding without its subjects, in bytes.
	objectBytes = 1 << 10
	// subjectBytes is the estimated size of a subject without its name and namespace, in bytes.
	subjectBytes = 40
)

// budgets limits the size of the objects of all bindings on each cluster.
type budgets struct {
	seed maphash.Seed

	mu sync.Mutex
	// charges contains the size of the objects of each binding on each cluster. The keys are the ID of the cluster and
	// the UID of the binding.
	charges map[string]map[types.UID]*charge
}

// charge is the size of the objects of one binding on one cluster, in bytes.
type charge struct {
	// requiredBytes is the size of all objects that the spec of the binding requires on the cluster, in bytes.
	requiredBytes int64
	// role is the name of the ClusterRole that the binding grants.
	role string
	// generation is the metadata.generation of the binding for which requiredBytes was computed.
	generation int64
	// fingerprint is a hash of the namespaces and KubeVisionClusters for which requiredBytes was computed.
	fingerprint uint64
	// reservedBytes is the size of the objects that the binding already has or may create on the cluster, in bytes.
	// Other bindings cannot use this part of the size limit of the cluster. -1 means that the size is not known yet.
	reservedBytes int64
}

func newBudgets() *budgets {
	return &budgets{seed: maphash.MakeSeed(), charges: map[string]map[types.UID]*charge{}}
}

// admit returns an empty string if the binding b may create its objects on the cluster t. Otherwise, it returns the
// reason for the refusal. registered contains all KubeVisionClusters, and namespaces contains the namespaces of t.
//
// The size of the objects is limited for each binding, for all bindings of one role, and for all bindings. If a limit
// does not suffice for all bindings, older bindings have precedence. However, no existing object is deleted for an
// older binding. Therefore, admit may refuse a binding although a newer binding has objects.
func (l *budgets) admit(
	ctx context.Context, reader client.Reader, view *clustercache.View, t *clustercache.Cluster,
	b *kubevisionv1alpha1.KubeVisionRoleBinding,
	registered []kubevisionv1alpha1.KubeVisionCluster, namespaces namespaceList,
) (string, error) {
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing role bindings: %w", err)
	}
	leading := registrationsOf(view, t, registered)
	fingerprint := namespaces.fingerprint
	for _, c := range leading {
		fingerprint += maphash.String(l.seed, c.Name+fmt.Sprint(c.Labels))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	charges := l.refresh(t, all.Items, func(o *kubevisionv1alpha1.KubeVisionRoleBinding) int64 {
		return desiredBytes(o, leading, namespaces)
	}, fingerprint)
	own := charges[b.UID]
	if own == nil || own.requiredBytes > bindingBudget {
		return fmt.Sprintf("the objects of the binding would exceed %d MiB, the budget of one binding on one "+
			"cluster: bind groups instead of users, or fewer namespaces", bindingBudget>>20), nil
	}
	if isWithinBudget(charges) {
		own.reservedBytes = max(own.reservedBytes, own.requiredBytes)
		return "", nil
	}
	if err := readReserved(ctx, t, all.Items, charges); err != nil {
		return "", err
	}
	allocate(bindings.SortByCreation(all.Items), charges)
	if own.reservedBytes < own.requiredBytes {
		return fmt.Sprintf("this binding is one of the newest, and the objects of all bindings would exceed %d MiB, "+
			"the budget of a cluster, or the objects of all bindings with its role would exceed %d MiB: bind "+
			"groups instead of users, or fewer namespaces",
			clusterBudget>>20, bindings.RoleShare(clusterBudget)>>20), nil
	}
	return "", nil
}

// refresh returns the sizes of the objects of each binding on the cluster t. The key is the UID of the binding. refresh
// drops the stored sizes of bindings that are not in the list of all bindings.
//
// wanted returns the size that the spec of a binding requires. The result depends on namespaces and KubeVisionClusters,
// and fingerprint is a hash of them. refresh calls wanted only if the binding is new, or if its spec or the fingerprint
// has changed.
func (l *budgets) refresh(
	t *clustercache.Cluster, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	wanted func(*kubevisionv1alpha1.KubeVisionRoleBinding) int64, fingerprint uint64,
) map[types.UID]*charge {
	before := l.charges[t.ID]
	charges := make(map[types.UID]*charge, len(all))
	for i := range all {
		b := &all[i]
		c := before[b.UID]
		if c == nil {
			c = &charge{reservedBytes: -1, generation: -1}
		}
		if c.generation != b.Generation || c.fingerprint != fingerprint {
			c.requiredBytes, c.generation, c.fingerprint = wanted(b), b.Generation, fingerprint
			c.role = bindings.ClusterRole(b.Spec.RoleRef)
		}
		charges[b.UID] = c
	}
	l.charges[t.ID] = charges
	return charges
}

// settle records the part of the size limits that the binding b uses on the cluster t. It must be called after rights
// were revoked there. existing contains the objects that still exist, and determines the size. If isAdmitted is true,
// settle records at least the size that the spec of b requires, because b may create all its objects.
func (l *budgets) settle(
	t *clustercache.Cluster, b *kubevisionv1alpha1.KubeVisionRoleBinding, isAdmitted bool,
	existing map[objectKey]client.Object,
) {
	held := bytesOf(existing)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.charges[t.ID][b.UID]; c != nil {
		c.reservedBytes = held
		if isAdmitted {
			c.reservedBytes = max(held, c.requiredBytes)
		}
	}
}

// isWithinBudget returns true if the limits of the cluster allow the objects of all bindings together.
func isWithinBudget(charges map[types.UID]*charge) bool {
	s := newSpending()
	for _, c := range charges {
		most := max(c.reservedBytes, min(c.requiredBytes, bindingBudget))
		if !s.allows(c.role, most) {
			return false
		}
		s.add(c.role, most)
	}
	return true
}

// spending is the size of the objects of several bindings on one cluster, in bytes. total is the size for all these
// bindings, and ofRole is the size for the bindings of each role.
type spending struct {
	total  int64
	ofRole map[string]int64
}

func newSpending() *spending { return &spending{ofRole: map[string]int64{}} }

func (s *spending) allows(role string, more int64) bool {
	return s.total+more <= clusterBudget && s.ofRole[role]+more <= bindings.RoleShare[int64](clusterBudget)
}

func (s *spending) add(role string, more int64) {
	s.total += more
	s.ofRole[role] += more
}

// readReserved sets reservedBytes for each binding for which the value is not known yet. The value is the size of those
// objects in the cache that KubeVision has created for the binding.
func readReserved(
	ctx context.Context, t *clustercache.Cluster, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	charges map[types.UID]*charge,
) error {
	for i := range all {
		c := charges[all[i].UID]
		if c.reservedBytes >= 0 {
			continue
		}
		found, err := listMade(ctx, t.Writer.Client, client.MatchingFields{apply.BindingIndex: all[i].Name})
		if err != nil {
			return err
		}
		c.reservedBytes = bytesOf(found)
	}
	return nil
}

// allocate reserves the size that each binding requires, if the limits of the cluster allow this size. It considers the
// bindings in the given order. It never reduces a size that is already reserved.
func allocate(ordered []*kubevisionv1alpha1.KubeVisionRoleBinding, charges map[types.UID]*charge) {
	s := newSpending()
	for _, c := range charges {
		s.add(c.role, c.reservedBytes)
	}
	for _, b := range ordered {
		c := charges[b.UID]
		more := c.requiredBytes - c.reservedBytes
		if more > 0 && c.requiredBytes <= bindingBudget && s.allows(c.role, more) {
			s.add(c.role, more)
			c.reservedBytes = c.requiredBytes
		}
	}
}

// registrationsOf returns the KubeVisionClusters that are connected to the cluster t.
func registrationsOf(
	view *clustercache.View, t *clustercache.Cluster, registered []kubevisionv1alpha1.KubeVisionCluster,
) []*kubevisionv1alpha1.KubeVisionCluster {
	var out []*kubevisionv1alpha1.KubeVisionCluster
	for i := range registered {
		if found, err := view.Get(&registered[i]); err == nil && found == t &&
			registered[i].DeletionTimestamp.IsZero() {
			out = append(out, &registered[i])
		}
	}
	return out
}

// desiredBytes returns the size of the objects that a binding requires on a cluster. The caller must pass all
// KubeVisionClusters whose connections lead to this cluster. The size includes subjects that do not exist yet.
func desiredBytes(
	b *kubevisionv1alpha1.KubeVisionRoleBinding, leading []*kubevisionv1alpha1.KubeVisionCluster,
	namespaces namespaceList,
) int64 {
	selected := false
	for _, c := range leading {
		if ok, err := bindings.SelectsCluster(b.Spec.Clusters, c.Name, c.Labels); ok && err == nil {
			selected = true
		}
	}
	if !selected || !b.DeletionTimestamp.IsZero() {
		return 0
	}
	in, err := namespaces.selectIn(b)
	if err != nil {
		return 0
	}
	objects := int64(len(in) + 2) // plus the ClusterRoleBinding and the use
	each := int64(objectBytes)
	for _, s := range b.Spec.Subjects {
		each += int64(subjectBytes + len(s.Name) + len(s.Namespace))
	}
	return objects * each
}

func bytesOf(objects map[objectKey]client.Object) int64 {
	var total int64
	for _, o := range objects {
		var subjects []rbacv1.Subject
		switch o := o.(type) {
		case *rbacv1.ClusterRoleBinding:
			subjects = o.Subjects
		case *rbacv1.RoleBinding:
			subjects = o.Subjects
		}
		total += objectBytes
		for _, s := range subjects {
			total += int64(subjectBytes + len(s.Name) + len(s.Namespace))
		}
	}
	return total
}
