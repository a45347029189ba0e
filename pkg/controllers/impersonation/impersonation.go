// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package impersonation keeps, on a cluster, the account that acts there for users: a ServiceAccount that may do nothing but
// impersonate, and nobody but the users and groups that role bindings name.
package impersonation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/controllers/owned"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	verb      = "impersonate"
	component = "impersonator"
)

// Keeper keeps the account.
type Keeper struct {
	// Reader holds the KubeVision objects.
	Reader client.Reader
	// Writer writes to the cluster.
	Writer *owned.Writer
	// MakesNamespace says that the account's namespace is made, and removed, with it. On the host it is KubeVision's own.
	MakesNamespace bool

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

// Ensure makes the account what the role bindings ask for now. Of many who ask at once, one does it for all. A role of somebody else's in one
// namespace keeps the account from acting for the ServiceAccounts there, and from nothing else; it is logged, and no error.
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

func (k *Keeper) ensure(ctx context.Context) error {
	allowed, err := clusters.ReadImpersonation(ctx, k.Reader)
	if err != nil {
		return err
	}
	if err := k.ensureNamespace(ctx); err != nil {
		return err
	}
	objects := append([]client.Object{
		&corev1.ServiceAccount{ObjectMeta: metadata("")},
		&rbacv1.ClusterRole{ObjectMeta: metadata(""), Rules: clusterRules(allowed)},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metadata(""), RoleRef: roleRef("ClusterRole"), Subjects: subjects()},
	}, serviceAccountRoles(allowed.ServiceAccounts)...)
	objects[0].SetNamespace(names.Namespace)
	logger := ctrl.LoggerFrom(ctx)
	var errs []error
	for _, o := range objects {
		err := k.Writer.Apply(ctx, o)
		if o.GetNamespace() != "" && o.GetNamespace() != names.Namespace {
			switch {
			case apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
				continue // a ServiceAccount's namespace that does not exist yet, or soon no more
			case errors.Is(err, owned.ErrForeign):
				logger.Error(err, "Nobody can act for the ServiceAccounts of a namespace", "namespace", o.GetNamespace())
				continue
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, k.prune(ctx, allowed.ServiceAccounts))...)
}

func (k *Keeper) ensureNamespace(ctx context.Context) error {
	if !k.MakesNamespace {
		return nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metadata(names.Namespace)}
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

func metadata(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: names.Impersonator, Labels: map[string]string{names.ComponentLabel: component}}
}

func roleRef(kind string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: names.Impersonator}
}

func subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: names.Namespace, Name: names.Impersonator}}
}

// clusterRules are without wildcards: a rule with no names would name everybody, so that there is none where there are no names.
func clusterRules(allowed bindings.Impersonation) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, r := range []struct {
		resource string
		names    sets.Set[string]
	}{{"users", allowed.Users}, {"groups", allowed.Groups}} {
		if r.names.Len() > 0 {
			rules = append(rules, rule(r.resource, sets.List(r.names)))
		}
	}
	return rules
}

func rule(resource string, resourceNames []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: resourceNames, Verbs: []string{verb}}
}

// serviceAccountRoles are in the namespaces of the ServiceAccounts: a cluster-wide rule would name those of all namespaces.
func serviceAccountRoles(accounts sets.Set[types.NamespacedName]) []client.Object {
	byNamespace := map[string][]string{}
	for a := range accounts {
		byNamespace[a.Namespace] = append(byNamespace[a.Namespace], a.Name)
	}
	out := make([]client.Object, 0, 2*len(byNamespace))
	for namespace, accountNames := range byNamespace {
		slices.Sort(accountNames)
		out = append(out,
			&rbacv1.Role{ObjectMeta: metadata(namespace), Rules: []rbacv1.PolicyRule{rule("serviceaccounts", accountNames)}},
			&rbacv1.RoleBinding{ObjectMeta: metadata(namespace), RoleRef: roleRef("Role"), Subjects: subjects()})
	}
	slices.SortFunc(out, func(a, b client.Object) int { return strings.Compare(a.GetNamespace(), b.GetNamespace()) })
	return out
}

// prune removes the roles of namespaces none of whose ServiceAccounts are named any more.
func (k *Keeper) prune(ctx context.Context, accounts sets.Set[types.NamespacedName]) error {
	wanted := sets.New[string]()
	for a := range accounts {
		wanted.Insert(a.Namespace)
	}
	var objects []client.Object
	selector := client.MatchingLabels{names.ManagedByLabel: names.ManagedBy, names.ComponentLabel: component}
	var roleBindings rbacv1.RoleBindingList
	if err := k.Writer.Client.List(ctx, &roleBindings, selector); err != nil {
		return fmt.Errorf("listing role bindings: %w", err)
	}
	for i := range roleBindings.Items {
		objects = append(objects, &roleBindings.Items[i])
	}
	var roles rbacv1.RoleList
	if err := k.Writer.Client.List(ctx, &roles, selector); err != nil {
		return fmt.Errorf("listing roles: %w", err)
	}
	for i := range roles.Items {
		objects = append(objects, &roles.Items[i])
	}
	var errs []error
	for _, o := range objects {
		if o.GetName() == names.Impersonator && !wanted.Has(o.GetNamespace()) {
			errs = append(errs, k.Writer.Delete(ctx, o))
		}
	}
	return errors.Join(errs...)
}

// Remove takes the account away.
func (k *Keeper) Remove(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, o := range []client.Object{&rbacv1.ClusterRoleBinding{}, &rbacv1.ClusterRole{}, &corev1.ServiceAccount{}} {
		key := types.NamespacedName{Name: names.Impersonator}
		if _, ok := o.(*corev1.ServiceAccount); ok {
			key.Namespace = names.Namespace
		}
		err := k.Writer.Client.Get(ctx, key, o)
		if err == nil {
			err = k.Writer.Delete(ctx, o)
		}
		errs = append(errs, client.IgnoreNotFound(err))
	}
	errs = append(errs, k.prune(ctx, nil))
	if k.MakesNamespace {
		errs = append(errs, k.removeNamespace(ctx))
	}
	return errors.Join(errs...)
}
