// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package predicates provides predicates and sources that several controllers share.
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

// Named returns a predicate for the events of one object.
func Named(key types.NamespacedName) predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == key })
}

// OnStart returns a source with one request for the object at the start of the controller, since an object that does
// not exist causes no event.
func OnStart(key types.NamespacedName) source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(reconcile.Request{NamespacedName: key})
		return nil
	})
}

// SkipInitialList returns a predicate that drops the create events of the initial list. The controller enqueues each of
// its own objects at that time, and starts its workers after all caches are synchronized. With thousands of objects of
// both kinds, the start would otherwise take minutes, and the manager fails after two minutes.
func SkipInitialList() predicate.Predicate {
	return predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }}
}
