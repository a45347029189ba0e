// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
)

// BoundNames caches the subjects of all KubeVisionRoleBindings. KubeVision may impersonate only these users and groups.
// BoundNames lists the bindings again only after a KubeVisionRoleBinding or a KubeVisionUser has changed.
type BoundNames struct {
	reader  client.Reader
	changes atomic.Int64

	mu      sync.Mutex
	version int64
	current bindings.Impersonation
}

// NewBoundNames returns a BoundNames that reads role bindings and users from the cache. It returns an error if the
// cache has no informer for them.
func NewBoundNames(ctx context.Context, c cache.Cache) (*BoundNames, error) {
	b := &BoundNames{reader: c}
	b.changes.Store(1)
	for _, kind := range []client.Object{&kubevisionv1alpha1.KubeVisionRoleBinding{},
		&kubevisionv1alpha1.KubeVisionUser{}} {
		informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching role bindings and users: %w", err)
		}
		changed := toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { b.changes.Add(1) },
			UpdateFunc: func(any, any) { b.changes.Add(1) },
			DeleteFunc: func(any) { b.changes.Add(1) },
		}
		if _, err := informer.AddEventHandler(changed); err != nil {
			return nil, fmt.Errorf("watching role bindings and users: %w", err)
		}
	}
	return b, nil
}

// Impersonation returns the users, groups and ServiceAccounts that KubeVision may impersonate. The subjects of all role
// bindings determine them. It returns an error if the cache cannot list role bindings or users.
func (b *BoundNames) Impersonation(ctx context.Context) (bindings.Impersonation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	version := b.changes.Load()
	if version == b.version {
		return b.current, nil
	}
	current, err := ReadImpersonation(ctx, b.reader)
	if err != nil {
		return bindings.Impersonation{}, err
	}
	b.version, b.current = version, current
	return current, nil
}

// ReadImpersonation returns the users, groups and ServiceAccounts that KubeVision may impersonate. It collects them
// from the subjects of all KubeVisionRoleBindings. It returns an error if the reader cannot list KubeVisionRoleBindings
// or KubeVisionUsers.
func ReadImpersonation(ctx context.Context, reader client.Reader) (bindings.Impersonation, error) {
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := reader.List(ctx, &users, client.UnsafeDisableDeepCopy); err != nil {
		return bindings.Impersonation{}, fmt.Errorf("listing users: %w", err)
	}
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return bindings.Impersonation{}, fmt.Errorf("listing role bindings: %w", err)
	}
	named, _ := bindings.CollectImpersonation(all.Items, users.Items, bindings.ImpersonationBudget)
	return named, nil
}
