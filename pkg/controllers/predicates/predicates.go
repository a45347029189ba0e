// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package predicates contains predicates and sources that several controllers use.
package predicates

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Named returns a predicate that accepts the events of the object with the key.
func Named(key types.NamespacedName) predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == key })
}

// OnStart returns a source that enqueues the key when the controller starts. It is needed because there is no event for
// an object that does not exist.
func OnStart(key types.NamespacedName) source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(reconcile.Request{NamespacedName: key})
		return nil
	})
}

// SkipInitialList returns a predicate that rejects the create events of the initial list. It is intended for a watch
// whose events enqueue many other objects. The controller enqueues these objects at its start anyway. Handling
// thousands of initial events would take longer than the CacheSyncTimeout of two minutes, and the manager would fail.
func SkipInitialList() predicate.Predicate {
	return predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }}
}
