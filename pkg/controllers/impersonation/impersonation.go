// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package impersonation maintains the impersonating ServiceAccount on a cluster, and the RBAC objects that grant it the
// verb "impersonate". They allow it to impersonate only the names that KubeVisionRoleBindings require (see
// bindings.CollectImpersonation).
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

	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	verb      = "impersonate"
	component = "impersonator"
)

// AccountManager maintains the impersonating ServiceAccount on one cluster.
type AccountManager struct {
	// Source computes the names that the ServiceAccount may impersonate.
	Source *Source
	// Writer writes to the cluster.
	Writer *apply.Writer
	// Member is true for a member cluster, and false for the host cluster. On a member cluster, the AccountManager also
	// creates and deletes KubeVision's namespace.
	Member bool

	// mu serializes changes, so that an older state of the bindings does not overwrite a newer one.
	mu sync.Mutex
	// nextMu guards nextExecution.
	nextMu sync.Mutex
	// nextExecution is an execution of Ensure that a caller has requested, but that has not begun yet. It is nil if
	// there is none. Further callers of Ensure wait for this execution instead of starting their own.
	nextExecution *execution
}

type execution struct {
	done chan struct{}
	// err is the result. It may be read only after done is closed.
	err error
}

// Ensure creates the impersonating ServiceAccount and its roles. The roles allow the ServiceAccount to impersonate only
// the names that KubeVisionRoleBindings require. Ensure revokes rights before it grants any. Concurrent calls share one
// execution.
//
// To allow the impersonation of other ServiceAccounts, Ensure creates a Role and a RoleBinding in each of their
// namespaces. If the API server rejects such an object, for example because of a ResourceQuota, Ensure only logs the
// error.
func (k *AccountManager) Ensure(ctx context.Context) error {
	e, mine := k.join()
	if !mine {
		select {
		case <-e.done:
			return e.err
		case <-ctx.Done():
			return fmt.Errorf("waiting for the impersonating account: %w", ctx.Err())
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nextMu.Lock()
	k.nextExecution = nil // Later calls must start another execution, because this one may miss their changes.
	k.nextMu.Unlock()
	defer close(e.done)
	e.err = k.ensure(context.WithoutCancel(ctx))
	return e.err
}

func (k *AccountManager) join() (e *execution, mine bool) {
	k.nextMu.Lock()
	defer k.nextMu.Unlock()
	if k.nextExecution != nil {
		return k.nextExecution, false
	}
	k.nextExecution = &execution{done: make(chan struct{})}
	return k.nextExecution, true
}

// Narrow revokes the right to impersonate names that no KubeVisionRoleBinding contains. It grants nothing.
func (k *AccountManager) Narrow(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	desired, err := k.Source.Read(ctx)
	if err != nil {
		return err
	}
	return k.narrow(ctx, desired.rolesFor(k))
}

func (k *AccountManager) ensure(ctx context.Context) error {
	read, err := k.Source.Read(ctx)
	if err != nil {
		return err
	}
	desired := read.rolesFor(k)
	if err := k.narrow(ctx, desired); err != nil {
		return err
	}
	if err := k.ensureAccount(ctx); err != nil {
		return err
	}
	var errs []error
	for _, s := range desired.cluster {
		errs = append(errs, k.bindRole(ctx, s.clusterRole(), s.clusterRoleBinding()))
	}
	for _, s := range desired.accounts {
		errs = append(errs, k.bindRoleInNamespace(ctx, s))
	}
	// A name may have moved from one role to another. It is removed from the old role only after it was added to the
	// new role.
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return k.prune(ctx, desired)
}

// bindRole applies a role and its binding. It returns an error if another owner has created a role of this name.
func (k *AccountManager) bindRole(ctx context.Context, role, binding client.Object) error {
	if err := k.Writer.Apply(ctx, role); err != nil {
		if errors.Is(err, apply.ErrForeign) { // KubeVision's binding would grant the rules of the other owner's role
			return errors.Join(err, k.Writer.Remove(ctx, binding))
		}
		return err
	}
	return k.Writer.Apply(ctx, binding)
}

// bindRoleInNamespace applies the Role and RoleBinding of a namespace. The administrator of a namespace must not be
// able to make Ensure fail, for example with a ResourceQuota. Therefore, bindRoleInNamespace only logs an error that
// this administrator can cause, and returns nil. It also returns nil if the namespace does not exist.
func (k *AccountManager) bindRoleInNamespace(ctx context.Context, s *shard) error {
	err := k.bindRole(ctx, s.role(), s.roleBinding())
	switch {
	case apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case errors.Is(err, apply.ErrForeign), apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		ctrl.LoggerFrom(ctx).Error(err, "The ServiceAccounts of a namespace cannot be impersonated", "namespace",
			s.namespace)
		return nil
	}
	return err
}

func (k *AccountManager) ensureAccount(ctx context.Context) error {
	if err := k.ensureNamespace(ctx); err != nil {
		return err
	}
	err := k.Writer.Apply(ctx, &corev1.ServiceAccount{ObjectMeta: metadata(names.Namespace, names.Impersonator)})
	if errors.Is(err, apply.ErrForeign) { // The other owner could use the rights with a token of the ServiceAccount.
		return errors.Join(err, k.removeBindings(ctx))
	}
	return err
}

func (k *AccountManager) ensureNamespace(ctx context.Context) error {
	if !k.Member {
		return nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metadata(names.Namespace, names.Impersonator)}
	if err := k.Writer.Client.Get(ctx, client.ObjectKeyFromObject(account), account); err == nil {
		return nil // The namespace exists, because it contains the account.
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.Namespace, Labels: map[string]string{
		names.ManagedByLabel: names.ManagedBy, names.ComponentLabel: component,
	}}}
	if err := k.Writer.Client.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", names.Namespace, err)
	}
	return nil
}

// removeNamespace deletes KubeVision's namespace on a member cluster, if KubeVision has created it.
func (k *AccountManager) removeNamespace(ctx context.Context) error {
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

// Remove deletes the ServiceAccount and its roles. On a member cluster, it also deletes the namespace.
func (k *AccountManager) Remove(ctx context.Context) error {
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
	return metav1.ObjectMeta{Namespace: namespace, Name: name,
		Labels: map[string]string{names.ComponentLabel: component}}
}
