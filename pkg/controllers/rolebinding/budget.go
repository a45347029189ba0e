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
	// charged contains the charge of each binding on each cluster, by the ID of the cluster and the UID of the binding.
	charged map[string]map[types.UID]*charge
}

// charge is the size of the objects of one binding on one cluster, in bytes.
type charge struct {
	// wanted is the size that the spec requires. It is computed again if the generation or the fingerprint changes. The
	// fingerprint is a hash of the namespaces and KubeVisionClusters that determine the size.
	wanted      int64
	role        string
	generation  int64
	fingerprint uint64
	// held is the size that the binding already occupies or is allowed to occupy. Other bindings cannot use this part
	// of the limit. The field is negative until its value is known.
	held int64
}

func newBudgets() *budgets {
	return &budgets{seed: maphash.MakeSeed(), charged: map[string]map[types.UID]*charge{}}
}

// admit returns an empty string if the binding may create its objects on the cluster t. Otherwise, it returns the
// reason for the refusal. Separate limits apply to one binding, to all bindings of one role, and to all bindings. If
// several bindings together would exceed a limit, older bindings have precedence. However, a newer binding keeps the
// size that it already occupies, even if admit then refuses an older binding.
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

// refresh returns the charges of the existing bindings. If the generation or the fingerprint of a binding has changed,
// refresh computes charge.wanted of the binding again.
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

// settle updates charge.held of a binding after rights were revoked on a cluster. The parameter existing contains the
// remaining objects of the binding, and charge.held becomes the size of these objects. If the parameter admitted is
// true, charge.held becomes at least charge.wanted.
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

// isWithinBudget returns true if the limits of the cluster allow the objects of all bindings together.
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

// spending is a sum of sizes on one cluster, in total and by role.
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

// readHeld sets charge.held of each binding for which charge.held is unknown. It computes the value from the objects in
// the cache.
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

// allocate raises charge.held to charge.wanted for each binding whose increase fits into the limits. It considers the
// bindings in the given order. It never lowers charge.held.
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

// desiredBytes returns the size of the objects that a binding requires on a cluster. The parameter leading contains all
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
