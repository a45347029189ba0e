// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2" //nolint:depguard // it spreads attempts and decides nothing
	"slices"
	"strconv"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/clusters/pacing"
)

const (
	// firstPause is the pause after the first failed attempt to watch. The pause doubles with each failure.
	firstPause = 100 * time.Millisecond
	// maxPause is the maximum pause after a failed attempt to watch.
	maxPause = 3 * time.Second
	// watchSeconds is the minimum duration of a watch in seconds. The maximum duration is twice this value. The
	// duration of each watch is random, so that many watches do not end at the same time.
	watchSeconds = 300
	// minWatch is the duration below which a watch counts as failed. A failed watch is followed by a pause.
	minWatch = time.Second
	// workShare bounds the processor time for the watches of one cluster, as a fraction of one processor. It suffices
	// for several thousand events per second.
	workShare = 1.0 / 10
	// workBurst is the processor time that the watches of one cluster may use before the limit workShare applies.
	workBurst = 500 * time.Millisecond
	// acceptEvents is the Accept header of a watch that requests only the metadata of objects.
	acceptEvents = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	// acceptList is the Accept header of a list that requests only the metadata of objects.
	acceptList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// rbacResources returns the resources whose changes invalidate verdicts.
func rbacResources() []string {
	return []string{"roles", "rolebindings", "clusterroles", "clusterrolebindings"}
}

// watchRBAC watches all RBAC objects of a cluster until ctx ends. It calls s.recordChange for each change, so that
// cached results of access reviews become invalid. It acts as the ServiceAccount kubevision-reader.
func watchRBAC(ctx context.Context, cluster connection, s *scope) {
	var group sync.WaitGroup
	pace := pacing.New(workShare, workBurst)
	for _, resource := range rbacResources() {
		group.Go(func() {
			w := &watcher{cluster: cluster, resource: resource, scope: s, pace: pace}
			pause := firstPause
			for ctx.Err() == nil {
				began := time.Now()
				err := w.follow(ctx)
				s.disconnected(resource)
				klog.FromContext(ctx).V(2).Info("RBAC objects are not watched", "resource", resource, "reason", err)
				if time.Since(began) > maxPause {
					pause = firstPause
				}
				wait(ctx, pause)
				pause = min(2*pause, maxPause)
			}
		})
	}
	group.Wait()
}

// wait waits for a random time between pause/2 and pause, or until ctx ends.
func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // it spreads attempts
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watcher watches one resource of one cluster.
type watcher struct {
	cluster  connection
	resource string
	scope    *scope
	// pace limits the processor time for the watches of the cluster.
	pace   *pacing.Pace
	client rest.Interface
	// version is the resource version of the last event or list.
	version string
}

// follow lists and watches the resource until an error occurs, and returns the error. When the API server ends a watch,
// follow starts the next watch from the last resource version.
func (w *watcher) follow(ctx context.Context) error {
	if w.cluster != nil {
		reader, err := w.cluster.Reader(ctx)
		if err != nil {
			return err
		}
		if w.client, err = rest.UnversionedRESTClientForConfigAndClient(reader.Config, reader.Client); err != nil {
			return fmt.Errorf("creating a client: %w", err)
		}
	}
	if err := w.list(ctx); err != nil {
		return err
	}
	for {
		began := time.Now()
		if err := w.watch(ctx); err != nil {
			return err
		}
		w.scope.disconnected(w.resource)
		if time.Since(began) < minWatch {
			return fmt.Errorf("watching %s: the watch has ended early", w.resource)
		}
	}
}

// list requests a list with one object of the watched resource. It stores the resource version of the list in
// w.version, so that a watch can start from this version. The object itself is not used.
func (w *watcher) list(ctx context.Context) error {
	body, err := w.request(acceptList, "limit", "1").Stream(ctx)
	if err != nil {
		return fmt.Errorf("listing %s: %w", w.resource, err)
	}
	defer func() { _ = body.Close() }()
	turn := w.pace.Turn(ctx)
	defer turn.Leave()
	if w.version, err = newEventReader(turn.Body(body)).version(); err != nil {
		return fmt.Errorf("listing %s: %w", w.resource, err)
	}
	return nil
}

// watch watches the resource from the resource version w.version until the watch ends. It calls w.scope.recordChange
// for each change. If the API server ends the watch normally, watch returns nil, and the next watch can start from
// w.version. In all other cases, watch returns an error, and the resource must be listed again.
func (w *watcher) watch(ctx context.Context) error {
	seconds := watchSeconds + rand.IntN(watchSeconds) //nolint:gosec // it spreads watches
	body, err := w.request(
		acceptEvents, "watch", "true", "allowWatchBookmarks", "true", "resourceVersion", w.version,
		"timeoutSeconds", strconv.Itoa(seconds),
	).Stream(ctx)
	if err != nil {
		return fmt.Errorf("watching %s: %w", w.resource, err)
	}
	defer func() { _ = body.Close() }()
	w.scope.connected(w.resource)
	turn := w.pace.Turn(ctx)
	defer turn.Leave()
	for events := newEventReader(turn.Body(body)); ; {
		next, err := events.next()
		switch {
		case errors.Is(err, errEvent):
			return fmt.Errorf("watching %s: %w", w.resource, err)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil: // the connection was lost between two events
			return fmt.Errorf("watching %s: %w", w.resource, errEvent)
		case next.eventType == watch.Error || next.version == "":
			return fmt.Errorf("watching %s: the watch cannot be continued", w.resource)
		}
		w.version = next.version
		if next.eventType != watch.Bookmark {
			w.scope.recordChange()
		}
	}
}

func (w *watcher) request(accept string, parameters ...string) *rest.Request {
	r := w.client.Get().AbsPath("/apis", rbacv1.GroupName, "v1", w.resource).MaxRetries(0).
		SetHeader("Accept", accept).SetHeader("Accept-Encoding", pacing.AcceptEncoding)
	for pair := range slices.Chunk(parameters, 2) {
		r = r.Param(pair[0], pair[1])
	}
	return r
}
