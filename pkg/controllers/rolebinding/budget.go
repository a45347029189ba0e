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
	// clusterBudget bounds the bytes that the objects of all bindings occupy in the etcd of one cluster. 50 bindings
	// in 1,000 namespaces occupy 56 MiB.
	clusterBudget = 128 << 20
	// bindingBudget bounds the bytes that the objects of one binding occupy on one cluster. Every change of the
	// subjects rewrites the objects, and etcd keeps the previous revisions for some minutes.
	bindingBudget = 16 << 20

	// objectBytes is the estimated size of a RoleBinding without its subjects.
	objectBytes = 1 << 10
	// subjectBytes is the estimated size of a subject without its name and namespace.
	subjectBytes = 40
)

// budgets tracks the budgets of all clusters.
type budgets struct {
	seed maphash.Seed

	mu sync.Mutex
	// charged maps the ID of each cluster to the charges of the bindings on it.
	charged map[string]map[types.UID]*charge
}

// charge records the bytes of one binding on one cluster.
type charge struct {
	// wanted is the size that the spec requires, computed for the generation and the fingerprint below.
	wanted      int64
	role        string
	generation  int64
	fingerprint uint64
	// held is the size that was granted or that already existed. It is negative until it is known.
	held int64
}

func newBudgets() *budgets {
	return &budgets{seed: maphash.MakeSeed(), charged: map[string]map[types.UID]*charge{}}
}

// admit returns an empty string if the budget of the cluster covers the binding, and a reason otherwise. Bindings are
// served in the order of their creation. Each binding keeps the bytes that it already holds, so that a growing binding
// takes nothing from others. The bindings of one role get at most bindings.RoleShare of the budget.
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
	if own == nil || own.wanted > bindingBudget {
		return fmt.Sprintf("the objects of the binding would exceed %d MiB, the budget of one binding on one "+
			"cluster: bind groups instead of users, or fewer namespaces", bindingBudget>>20), nil
	}
	if isWithinBudget(charges) {
		own.held = max(own.held, own.wanted)
		return "", nil
	}
	if err := readHeld(ctx, t, all.Items, charges); err != nil {
		return "", err
	}
	allocate(bindings.SortByCreation(all.Items), charges)
	if own.held < own.wanted {
		return fmt.Sprintf("this binding is one of the newest, and the objects of all bindings would exceed %d MiB, "+
			"the budget of a cluster, or the objects of all bindings with its role would exceed %d MiB: bind "+
			"groups instead of users, or fewer namespaces",
			clusterBudget>>20, bindings.RoleShare(clusterBudget)>>20), nil
	}
	return "", nil
}

// refresh drops the charges of deleted bindings, and recomputes the wanted size of bindings whose spec or environment
// has changed.
func (l *budgets) refresh(
	t *clustercache.Cluster, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	wanted func(*kubevisionv1alpha1.KubeVisionRoleBinding) int64, fingerprint uint64,
) map[types.UID]*charge {
	before := l.charged[t.ID]
	charges := make(map[types.UID]*charge, len(all))
	for i := range all {
		b := &all[i]
		c := before[b.UID]
		if c == nil {
			c = &charge{held: -1, generation: -1}
		}
		if c.generation != b.Generation || c.fingerprint != fingerprint {
			c.wanted, c.generation, c.fingerprint = wanted(b), b.Generation, fingerprint
			c.role = bindings.ClusterRole(b.Spec.RoleRef)
		}
		charges[b.UID] = c
	}
	l.charged[t.ID] = charges
	return charges
}

// settle records the size of a binding after the deletion of all objects that the binding no longer grants.
func (l *budgets) settle(
	t *clustercache.Cluster, b *kubevisionv1alpha1.KubeVisionRoleBinding, admitted bool,
	existing map[objectKey]client.Object,
) {
	held := bytesOf(existing)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.charged[t.ID][b.UID]; c != nil {
		c.held = held
		if admitted {
			c.held = max(held, c.wanted)
		}
	}
}

// isWithinBudget returns true if the budget covers all bindings.
func isWithinBudget(charges map[types.UID]*charge) bool {
	s := newSpending()
	for _, c := range charges {
		most := max(c.held, min(c.wanted, bindingBudget))
		if !s.allows(c.role, most) {
			return false
		}
		s.add(c.role, most)
	}
	return true
}

// spending sums the bytes that bindings occupy on one cluster, in total and by role.
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

// readHeld reads the size of the existing objects of bindings whose size is not known.
func readHeld(
	ctx context.Context, t *clustercache.Cluster, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	charges map[types.UID]*charge,
) error {
	for i := range all {
		c := charges[all[i].UID]
		if c.held >= 0 {
			continue
		}
		found, err := listMade(ctx, t.Writer.Client, client.MatchingFields{apply.BindingIndex: all[i].Name})
		if err != nil {
			return err
		}
		c.held = bytesOf(found)
	}
	return nil
}

// allocate grants the wanted size to each binding in turn, unless it exceeds the budget or the share of its role.
func allocate(ordered []*kubevisionv1alpha1.KubeVisionRoleBinding, charges map[types.UID]*charge) {
	s := newSpending()
	for _, c := range charges {
		s.add(c.role, c.held)
	}
	for _, b := range ordered {
		c := charges[b.UID]
		if more := c.wanted - c.held; more > 0 && c.wanted <= bindingBudget && s.allows(c.role, more) {
			s.add(c.role, more)
			c.held = c.wanted
		}
	}
}

// registrationsOf returns the registrations of a cluster.
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

// desiredBytes returns the size of the objects that a binding requires on a cluster. Subjects that do not exist
// count, because they may be created later.
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
