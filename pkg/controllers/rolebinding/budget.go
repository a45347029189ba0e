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
	// clusterBudget bounds the total size of the RBAC objects that all KubeVisionRoleBindings require on one cluster,
	// in bytes. The size is an estimate of the space in etcd. For example, 50 KubeVisionRoleBindings that each select
	// 1,000 namespaces need 56 MiB.
	clusterBudget = 128 << 20
	// bindingBudget bounds the total size of the RBAC objects that one KubeVisionRoleBinding requires on one cluster,
	// in bytes. The size is an estimate of the space in etcd. bindingBudget limits how fast a user can fill etcd with
	// changes of a KubeVisionRoleBinding. Each change of the subjects writes all objects again, and etcd keeps the old
	// revisions for some minutes.
	bindingBudget = 16 << 20

	// objectBytes is the estimated size of a RoleBinding without its subjects, in bytes.
	objectBytes = 1 << 10
	// subjectBytes is the estimated size of a subject without its name and namespace, in bytes.
	subjectBytes = 40
)

// budgets limits the total size of the RBAC objects that all KubeVisionRoleBindings require on each cluster.
type budgets struct {
	seed maphash.Seed

	mu sync.Mutex
	// sizes contains the bindingSize of each binding on each cluster. The outer key is the ID of the cluster, and the
	// inner key is the UID of the binding.
	sizes map[string]map[types.UID]*bindingSize
}

// bindingSize is the estimated total size of the RBAC objects of one KubeVisionRoleBinding on one cluster.
type bindingSize struct {
	// requiredBytes is the size of all objects that the spec of the binding requires on the cluster, in bytes.
	requiredBytes int64
	// role is the name of the ClusterRole that the binding grants.
	role string
	// generation is the metadata.generation of the binding from which requiredBytes was computed. After a change of the
	// generation, requiredBytes is computed again.
	generation int64
	// fingerprint is a hash of the namespaces and KubeVisionClusters from which requiredBytes was computed. After a
	// change of the hash, requiredBytes is computed again.
	fingerprint uint64
	// reservedBytes is the size of the objects that the binding already has or may create on the cluster, in bytes.
	// Other bindings cannot use this part of the size limit of the cluster. -1 means that the size is not known yet.
	reservedBytes int64
}

func newBudgets() *budgets {
	return &budgets{seed: maphash.MakeSeed(), sizes: map[string]map[types.UID]*bindingSize{}}
}

// admit returns an empty string if the objects of the binding b on the cluster t are within the size limits. Otherwise,
// it returns a message about the exceeded limit. registered contains all KubeVisionClusters, and namespaces contains
// the namespaces of t.
func (l *budgets) admit(
	ctx context.Context, reader client.Reader, view *clustercache.View, t *clustercache.Cluster,
	b *kubevisionv1alpha1.KubeVisionRoleBinding,
	registered []kubevisionv1alpha1.KubeVisionCluster, namespaces namespaceList,
) (string, error) {
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing role bindings: %w", err)
	}
	registrations := registrationsOf(view, t, registered)
	fingerprint := namespaces.fingerprint
	for _, c := range registrations {
		fingerprint += maphash.String(l.seed, c.Name+fmt.Sprint(c.Labels))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sizes := l.refreshLocked(t, all.Items, func(o *kubevisionv1alpha1.KubeVisionRoleBinding) int64 {
		return desiredBytes(o, registrations, namespaces)
	}, fingerprint)
	own := sizes[b.UID]
	if own == nil || own.requiredBytes > bindingBudget {
		return fmt.Sprintf("the objects of the binding would exceed %d MiB, the budget of one binding on one "+
			"cluster: bind groups instead of users, or fewer namespaces", bindingBudget>>20), nil
	}
	if isWithinBudget(sizes) {
		own.reservedBytes = max(own.reservedBytes, own.requiredBytes)
		return "", nil
	}
	if err := readReserved(ctx, t, all.Items, sizes); err != nil {
		return "", err
	}
	allocate(bindings.SortByCreation(all.Items), sizes) // older bindings have precedence
	if own.reservedBytes < own.requiredBytes {
		return fmt.Sprintf("this binding is one of the newest, and the objects of all bindings would exceed %d MiB, "+
			"the budget of a cluster, or the objects of all bindings with its role would exceed %d MiB: bind "+
			"groups instead of users, or fewer namespaces",
			clusterBudget>>20, bindings.RoleShare(clusterBudget)>>20), nil
	}
	return "", nil
}

func (l *budgets) refreshLocked(
	t *clustercache.Cluster, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	computeRequired func(*kubevisionv1alpha1.KubeVisionRoleBinding) int64, fingerprint uint64,
) map[types.UID]*bindingSize {
	before := l.sizes[t.ID]
	sizes := make(map[types.UID]*bindingSize, len(all)) // without bindings that no longer exist
	for i := range all {
		b := &all[i]
		size := before[b.UID]
		if size == nil {
			size = &bindingSize{reservedBytes: -1, generation: -1}
		}
		if size.generation != b.Generation || size.fingerprint != fingerprint {
			size.requiredBytes, size.generation, size.fingerprint = computeRequired(b), b.Generation, fingerprint
			size.role = bindings.ClusterRole(b.Spec.RoleRef)
		}
		sizes[b.UID] = size
	}
	l.sizes[t.ID] = sizes
	return sizes
}

func (l *budgets) setReserved(
	t *clustercache.Cluster, b *kubevisionv1alpha1.KubeVisionRoleBinding, mayCreate bool,
	existing map[objectKey]client.Object,
) {
	held := bytesOf(existing)
	l.mu.Lock()
	defer l.mu.Unlock()
	if size := l.sizes[t.ID][b.UID]; size != nil {
		size.reservedBytes = held
		if mayCreate { // the binding also needs space for objects that do not exist yet
			size.reservedBytes = max(held, size.requiredBytes)
		}
	}
}

// isWithinBudget returns true if the objects of all bindings on one cluster are within two size limits: the limit for
// all bindings together, and the limit for the bindings of each role.
func isWithinBudget(sizes map[types.UID]*bindingSize) bool {
	s := newSizeSum()
	for _, size := range sizes {
		most := max(size.reservedBytes, min(size.requiredBytes, bindingBudget))
		if !s.allows(size.role, most) {
			return false
		}
		s.add(size.role, most)
	}
	return true
}

// sizeSum adds up the sizes of bindings on one cluster, in total and for each ClusterRole.
type sizeSum struct {
	totalBytes  int64
	bytesOfRole map[string]int64
}

func newSizeSum() *sizeSum { return &sizeSum{bytesOfRole: map[string]int64{}} }

func (s *sizeSum) allows(role string, more int64) bool {
	return s.totalBytes+more <= clusterBudget && s.bytesOfRole[role]+more <= bindings.RoleShare[int64](clusterBudget)
}

func (s *sizeSum) add(role string, more int64) {
	s.totalBytes += more
	s.bytesOfRole[role] += more
}

func readReserved(
	ctx context.Context, t *clustercache.Cluster, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	sizes map[types.UID]*bindingSize,
) error {
	for i := range all {
		size := sizes[all[i].UID]
		if size.reservedBytes >= 0 { // the size is already known
			continue
		}
		found, err := listMade(ctx, t.Writer.Client, client.MatchingFields{apply.BindingIndex: all[i].Name})
		if err != nil {
			return err
		}
		size.reservedBytes = bytesOf(found)
	}
	return nil
}

// allocate sets reservedBytes to requiredBytes for each binding that fits into the limits of the cluster. A binding has
// precedence over the bindings that come after it in the slice ordered.
func allocate(ordered []*kubevisionv1alpha1.KubeVisionRoleBinding, sizes map[types.UID]*bindingSize) {
	s := newSizeSum()
	for _, size := range sizes { // existing objects of a newer binding are not deleted for an older binding
		s.add(size.role, size.reservedBytes)
	}
	for _, b := range ordered {
		size := sizes[b.UID]
		more := size.requiredBytes - size.reservedBytes
		if more > 0 && size.requiredBytes <= bindingBudget && s.allows(size.role, more) {
			s.add(size.role, more)
			size.reservedBytes = size.requiredBytes
		}
	}
}

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

// desiredBytes returns the size of the objects that a binding requires on one cluster, in bytes. registrations contains
// all KubeVisionClusters that represent this cluster.
func desiredBytes(
	b *kubevisionv1alpha1.KubeVisionRoleBinding, registrations []*kubevisionv1alpha1.KubeVisionCluster,
	namespaces namespaceList,
) int64 {
	selected := false
	for _, c := range registrations {
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
	for _, s := range b.Spec.Subjects { // also KubeVisionUsers that do not exist yet
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
