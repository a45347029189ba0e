// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package impersonation keeps, on a cluster, the account that acts there for users: a ServiceAccount that may do nothing but
// impersonate the users and groups that role bindings name.
package impersonation

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/controllers/owned"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	verb      = "impersonate"
	component = "impersonator"
)

// Keeper keeps the account.
type Keeper struct {
	// Source reads the names that the account may impersonate.
	Source *Source
	// Writer writes to the cluster.
	Writer *owned.Writer
	// Member is true unless the cluster is the host. The account's namespace is made and removed with it there, and names
	// are those of bindings.Impersonation.OnMember.
	Member bool

	// mu lets one reader of the bindings finish writing before the next one reads, so that nothing older overwrites anything newer.
	mu sync.Mutex
	// next is the pass that has not begun yet.
	nextMu sync.Mutex
	next   *pass
}

// pass is one look at the bindings, for all who have asked for it before it began.
type pass struct {
	done chan struct{}
	err  error
}

// Ensure lets the account impersonate the names in role bindings: it takes away before it gives. Of many callers at once, one
// does it for all. A namespace that refuses the Role or its binding, or in which they are somebody else's, keeps the account
// from acting for the ServiceAccounts there, and from nothing else; Ensure logs it and returns no error.
func (k *Keeper) Ensure(ctx context.Context) error {
	p, mine := k.join()
	if !mine {
		select {
		case <-p.done:
			return p.err
		case <-ctx.Done():
			return fmt.Errorf("waiting for the impersonating account: %w", ctx.Err())
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nextMu.Lock()
	k.next = nil // whoever comes now may have changed what is about to be read
	k.nextMu.Unlock()
	defer close(p.done)
	p.err = k.ensure(context.WithoutCancel(ctx))
	return p.err
}

func (k *Keeper) join() (p *pass, mine bool) {
	k.nextMu.Lock()
	defer k.nextMu.Unlock()
	if k.next != nil {
		return k.next, false
	}
	k.next = &pass{done: make(chan struct{})}
	return k.next, true
}

// Narrow takes away from the account the names that are in no role binding any more, and gives nothing.
func (k *Keeper) Narrow(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	desired, err := k.Source.Read(ctx)
	if err != nil {
		return err
	}
	return k.narrow(ctx, desired.on(k))
}

func (k *Keeper) ensure(ctx context.Context) error {
	read, err := k.Source.Read(ctx)
	if err != nil {
		return err
	}
	desired := read.on(k)
	if err := k.narrow(ctx, desired); err != nil {
		return err
	}
	if err := k.ensureAccount(ctx); err != nil {
		return err
	}
	var errs []error
	for _, s := range desired.cluster {
		errs = append(errs, k.give(ctx, s.clusterRole(), s.clusterRoleBinding()))
	}
	for _, s := range desired.accounts {
		errs = append(errs, k.giveIn(ctx, s))
	}
	// A name may have moved from one role to another: it leaves the old one when the new one is there.
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return k.prune(ctx, desired)
}

// give binds the role to the account once it is the one that KubeVision has made.
func (k *Keeper) give(ctx context.Context, role, binding client.Object) error {
	if err := k.Writer.Apply(ctx, role); err != nil {
		if errors.Is(err, owned.ErrForeign) {
			return errors.Join(err, k.Writer.Remove(ctx, binding))
		}
		return err
	}
	return k.Writer.Apply(ctx, binding)
}

// giveIn leaves out a namespace that does not exist yet, that soon exists no more, in which the role is somebody else's, or
// that refuses it: whoever administers one namespace may make a quota, or keep an object of that name with a finalizer.
func (k *Keeper) giveIn(ctx context.Context, s *shard) error {
	err := k.give(ctx, s.role(), s.roleBinding())
	switch {
	case apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case errors.Is(err, owned.ErrForeign), apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		ctrl.LoggerFrom(ctx).Error(err, "Nobody can act for the ServiceAccounts of a namespace", "namespace", s.namespace)
		return nil
	}
	return err
}

// ensureAccount makes the ServiceAccount. One that somebody else has made must not be able to impersonate anybody: its
// owner may hold tokens of it.
func (k *Keeper) ensureAccount(ctx context.Context) error {
	if err := k.ensureNamespace(ctx); err != nil {
		return err
	}
	err := k.Writer.Apply(ctx, &corev1.ServiceAccount{ObjectMeta: metadata(names.Namespace, names.Impersonator)})
	if errors.Is(err, owned.ErrForeign) {
		return errors.Join(err, k.removeBindings(ctx))
	}
	return err
}

func (k *Keeper) ensureNamespace(ctx context.Context) error {
	if !k.Member {
		return nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metadata(names.Namespace, names.Impersonator)}
	if err := k.Writer.Client.Get(ctx, client.ObjectKeyFromObject(account), account); err == nil {
		return nil // and so is its namespace
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.Namespace, Labels: map[string]string{
		names.ManagedByLabel: names.ManagedBy, names.ComponentLabel: component,
	}}}
	if err := k.Writer.Client.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making namespace %s: %w", names.Namespace, err)
	}
	return nil
}

// removeNamespace leaves a namespace that somebody else has made.
func (k *Keeper) removeNamespace(ctx context.Context) error {
	namespace := &corev1.Namespace{}
	err := k.Writer.Live.Get(ctx, types.NamespacedName{Name: names.Namespace}, namespace)
	if err == nil && namespace.Labels[names.ComponentLabel] == component {
		err = k.Writer.Delete(ctx, namespace)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing namespace %s: %w", names.Namespace, err)
	}
	return nil
}

// Remove takes the account away.
func (k *Keeper) Remove(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errs := []error{
		k.removeBindings(ctx),
		k.prune(ctx, &roles{}),
		k.Writer.Remove(ctx, &corev1.ServiceAccount{ObjectMeta: metadata(names.Namespace, names.Impersonator)}),
	}
	if k.Member {
		errs = append(errs, k.removeNamespace(ctx))
	}
	return errors.Join(errs...)
}

func metadata(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{names.ComponentLabel: component}}
}
