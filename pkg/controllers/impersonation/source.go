// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
)

// Source computes the roles of the impersonating ServiceAccount. It computes them once after each change of role
// bindings or users, for all clusters.
type Source struct {
	// Reader reads KubeVisionUsers and KubeVisionRoleBindings from a cache.
	Reader client.Reader

	mu          sync.Mutex
	seed        maphash.Seed
	fingerprint uint64
	current     *Desired
}

// Desired contains the desired roles of KubeVision's impersonating ServiceAccount, for the host cluster and for member
// clusters. It is immutable.
type Desired struct {
	left         sets.Set[types.UID]
	host, member *roles
}

// roles contains the desired roles on the host cluster or on a member cluster.
type roles struct {
	names    bindings.Impersonation
	cluster  []*shard
	accounts []*shard
}

// rolesFor returns the desired roles for the cluster of k, which is either the host cluster or a member cluster.
func (d *Desired) rolesFor(k *AccountManager) *roles {
	if k.Member {
		return d.member
	}
	return d.host
}

// IsOverBudget returns true if the desired roles omit the subjects of the role binding, because the names of these
// subjects would exceed a size limit (see bindings.CollectImpersonation).
func (d *Desired) IsOverBudget(binding types.UID) bool { return d.left.Has(binding) }

// NewSource returns a Source with the reader.
func NewSource(reader client.Reader) *Source {
	return &Source{Reader: reader, seed: maphash.MakeSeed()}
}

// Read returns the desired roles of the impersonating ServiceAccount. Each call lists users and role bindings. Read
// computes the roles again only if users or role bindings have changed since the previous call.
func (s *Source) Read(ctx context.Context) (*Desired, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// An event handler could record changes instead, which would be faster. However, the informer may call this handler
	// later than the handler that enqueues a request. The reconciliation would then get outdated roles.
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := s.Reader.List(ctx, &users, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := s.Reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing role bindings: %w", err)
	}
	var sum uint64 // a commutative sum, because lists have no order
	for i := range users.Items {
		sum += s.identify(&users.Items[i].ObjectMeta)
	}
	for i := range all.Items {
		sum += s.identify(&all.Items[i].ObjectMeta)
	}
	if s.current == nil || sum != s.fingerprint {
		s.current, s.fingerprint = newDesired(all.Items, users.Items, bindings.ImpersonationBudget), sum
	}
	return s.current, nil
}

// identify returns a hash of the UID, the generation and the deletion state of an object.
func (s *Source) identify(o *metav1.ObjectMeta) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(string(o.UID))
	state := o.Generation << 1
	if o.DeletionTimestamp != nil {
		state |= 1
	}
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(state)) //nolint:gosec // only the bits matter
	_, _ = h.Write(number[:])
	return h.Sum64()
}

func newDesired(
	all []kubevisionv1alpha1.KubeVisionRoleBinding, users []kubevisionv1alpha1.KubeVisionUser, budget int,
) *Desired {
	named, left := bindings.CollectImpersonation(all, users, budget)
	return &Desired{left: left, host: newRoles(named), member: newRoles(named.OnMember())}
}

func newRoles(named bindings.Impersonation) *roles {
	r := &roles{names: named}
	entries := make([]entry, 0, len(named.Users)+len(named.Groups))
	for name := range named.Users {
		entries = append(entries, newEntry(usersResource, name))
	}
	for name := range named.Groups {
		entries = append(entries, newEntry(groupsResource, name))
	}
	r.cluster = split(entries, "")
	byNamespace := map[string][]entry{}
	for a := range named.ServiceAccounts {
		byNamespace[a.Namespace] = append(byNamespace[a.Namespace], newEntry(accountsResource, a.Name))
	}
	for namespace, entries := range byNamespace {
		r.accounts = append(r.accounts, split(entries, namespace)...)
	}
	return r
}

// allows returns true if the desired roles allow the impersonation of the user, group or ServiceAccount with the name.
// The namespace of a user or group is empty.
func (r *roles) allows(resource, namespace, name string) bool {
	switch resource {
	case usersResource:
		return namespace == "" && r.names.Users.Has(name)
	case groupsResource:
		return namespace == "" && r.names.Groups.Has(name)
	case accountsResource:
		return r.names.ServiceAccounts.Has(types.NamespacedName{Namespace: namespace, Name: name})
	default:
		return false
	}
}
