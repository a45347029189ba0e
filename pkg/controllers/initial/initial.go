// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package initial keeps controllers from enqueueing all of their objects once for each object of another kind when they
// start.
package initial

import (
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// Skip returns a predicate that drops the creations of the initial list. The controller enqueues each of its own objects
// then, and works after all caches are filled: what the objects of another kind would enqueue is enqueued already. With
// thousands of both, the start would take minutes, and the manager gives up after two.
func Skip() predicate.Predicate {
	return predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }}
}
