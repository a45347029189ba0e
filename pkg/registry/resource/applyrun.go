// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/diff"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

const (
	// servedWithin bounds the time for which the dry run of a custom resource is retried after its
	// CustomResourceDefinition was applied. The API server needs some time until it serves a new kind.
	servedWithin = 15 * time.Second
	// servedPause is the time between two dry runs of a custom resource whose kind the API server does not serve yet.
	servedPause = 200 * time.Millisecond
	// maxTries bounds the number of dry runs of an object. A dry run is repeated if another client has changed the
	// object at the same time.
	maxTries = 3
	// maxPaths bounds the number of changed fields that a response contains for one object.
	maxPaths = 64
)

// forEach calls do() concurrently for all objects that have no error and for which chosen() returns true. After the end
// of ctx, forEach marks the remaining chosen objects as ApplySkipped. If do() panics, the panic becomes the error of
// the object.
func (b *bundle) forEach(ctx context.Context, chosen func(*applied) bool, do func(context.Context, *applied)) {
	_ = fanout.Each(
		context.WithoutCancel(ctx),
		len(b.items),
		scopedlist.CallsAtOnce,
		func(_ context.Context, i int) error {
			a := b.items[i]
			switch {
			case a.err != nil || !chosen(a):
				return nil //nolint:nilerr // the result of the object contains the error
			case ctx.Err() != nil:
				a.result.Operation = dashboardv1alpha1.ApplySkipped
				return nil //nolint:nilerr // the result of the object contains the error
			}
			if err := fanout.Safely(ctx, func() error { do(ctx, a); return nil }); err != nil {
				a.setOutcome("", err)
			}
			return nil
		},
	)
}

func anyObject(*applied) bool { return true }

// tryAll executes the dry runs of the objects. It defers the dry runs of objects that need other objects of the bundle.
// It returns an error if a dry run has failed.
func (b *bundle) tryAll(ctx context.Context) error {
	b.forEach(ctx, func(a *applied) bool { return !a.needsDefinition }, b.readCurrent)
	found := b.dependencies()
	b.forEach(ctx, anyObject, func(ctx context.Context, a *applied) {
		if found.mustDefer(a) {
			a.deferDryRun(stageOfDefinitions)
		} else {
			a.executeDryRun(ctx, b)
		}
		if found.mayDefer(a) && (a.err != nil || a.is(dashboardv1alpha1.ApplyDeferred)) {
			a.deferDryRun(a.stage - 1)
		}
	})
	if !b.failed() {
		return nil
	}
	b.skipRest(-1)
	return b.refused()
}

func (b *bundle) readCurrent(ctx context.Context, a *applied) {
	current, err := a.write.current(ctx, b.caller)
	if err != nil {
		a.setOutcome("", err)
		return
	}
	a.current = current
}

// executeDryRun executes a dry run of the object, and stores how the dry run differs from a.current. If another client
// has changed the object since a.current was read, executeDryRun reads the object again and repeats the dry run, so
// that the differences do not include the changes of the other client. It executes at most maxTries dry runs.
func (a *applied) executeDryRun(ctx context.Context, b *bundle) {
	for range maxTries {
		tried := *a.write
		tried.call.Query = maps.Clone(tried.call.Query)
		tried.call.Query.Set(queryDryRun, metav1.DryRunAll)
		answer, err := tried.do(ctx, b.caller)
		if err != nil {
			a.setOutcome("", err)
			return
		}
		a.warnings = answer.Warnings
		a.setOutcome(a.change(ctx, answer.Body))
		if a.err != nil || a.current == nil || versionOf(a.current) == versionOf(answer.Body) {
			return
		}
		b.readCurrent(ctx, a)
		if a.err != nil {
			return
		}
	}
}

// versionOf returns metadata.resourceVersion of an object in JSON.
func versionOf(body []byte) string {
	return textAt(body, "metadata", "resourceVersion")
}

// change compares a.current with dryRunObject, the object that a dry run has returned. It returns ApplyCreated,
// ApplyConfigured or ApplyUnchanged, and stores the paths of the changed fields in a.result.
func (a *applied) change(ctx context.Context, dryRunObject []byte) (dashboardv1alpha1.ApplyOperation, error) {
	if a.current == nil && versionOf(dryRunObject) == "" {
		return dashboardv1alpha1.ApplyCreated, nil
	}
	if a.current == nil { // the caller may not get the object
		return dashboardv1alpha1.ApplyConfigured, nil
	}
	for _, body := range [][]byte{a.current, dryRunObject} {
		if err := objects.HoldUntyped(body, budget.AccountFrom(ctx)); err != nil {
			return "", envelope.OutOfMemory(err)
		}
	}
	paths, err := diff.Paths(a.current, dryRunObject)
	switch {
	case err != nil:
		return "", envelope.Internal(err)
	case len(paths) == 0:
		a.result.Paths = []string{}
		return dashboardv1alpha1.ApplyUnchanged, nil
	}
	a.result.Paths = paths[:min(len(paths), maxPaths)]
	return dashboardv1alpha1.ApplyConfigured, nil
}

// applyAll applies the objects of the request, one stage after the other.
func (b *bundle) applyAll(ctx context.Context) {
	for stage := range stages() {
		b.forEach(ctx, func(a *applied) bool { return a.stage == stage }, func(ctx context.Context, a *applied) {
			if _, err := a.write.do(ctx, b.caller); err != nil {
				a.setOutcome("", err)
			}
		})
		if stage != stageOfDefinitions || !b.failed() {
			b.executeDeferred(ctx, stage)
		}
		if stage == stageOfDefinitions {
			b.rediscover(ctx)
		}
		// If a Namespace or a CustomResourceDefinition has failed, all later stages are skipped, because their objects
		// may need it. After a failure in a later stage, the other objects are still applied.
		if stage == stageOfDefinitions && b.failed() {
			b.skipRest(stage)
			return
		}
	}
}

// rediscover renews the cached discovery of the cluster if a CustomResourceDefinition in the bundle defines the kind of
// another object in the bundle, and the cluster did not serve this kind before.
func (b *bundle) rediscover(ctx context.Context) {
	if !slices.ContainsFunc(b.items, func(a *applied) bool { return a.needsDefinition }) {
		return
	}
	if err := b.caller.RefreshResources(ctx); err != nil {
		klog.FromContext(ctx).Info("The kinds of a cluster could not be listed", "err", err)
	}
}

// executeDeferred executes the deferred dry runs that need the objects of the given stage.
func (b *bundle) executeDeferred(ctx context.Context, stage int) {
	due := func(a *applied) bool { return a.is(dashboardv1alpha1.ApplyDeferred) && a.dryRunAfterStage == stage }
	end := time.Now().Add(servedWithin)
	b.forEach(ctx, due, func(ctx context.Context, a *applied) {
		for {
			a.executeDryRun(ctx, b)
			// The API server needs some time until it serves a new kind. Until then, the dry run is repeated.
			isMissing := a.err != nil && envelope.As(a.err).Code == dashboardv1alpha1.CodeNotFound
			if !a.needsDefinition || !isMissing || time.Now().After(end) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(servedPause):
				a.err = nil
			}
		}
	})
}
