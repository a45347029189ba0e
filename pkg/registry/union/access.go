// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package union reads what a caller may read of a cluster. Whoever may list a kind everywhere gets that; whoever may not gets the union of the
// namespaces that they may read, and nothing of the others, not even a number.
package union

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// CallsAtOnce bounds the calls of one request to one cluster.
const CallsAtOnce = 8

// Access lets callers reach clusters, of which they may be allowed to read only some namespaces.
type Access struct {
	*authorization.Access

	// Reader holds the KubeVision objects.
	Reader client.Reader
}

// Cluster is the access review of a route below /clusters/{cluster}, as authorization.Access.Cluster is.
func (a *Access) Cluster(r *routes.Request, u user.Info) (*Caller, error) {
	caller, err := a.Access.Cluster(r, u)
	if err != nil {
		return nil, err
	}
	return a.caller(caller, u, r.Path(authorization.ClusterParameter)), nil
}

// Named is Cluster for a cluster that is not named by the path.
func (a *Access) Named(ctx context.Context, u user.Info, cluster string) (*Caller, error) {
	caller, err := a.Access.Named(ctx, u, cluster)
	if err != nil {
		return nil, err
	}
	return a.caller(caller, u, cluster), nil
}

func (a *Access) caller(c *clusters.Caller, u user.Info, cluster string) *Caller {
	return &Caller{Caller: c, reader: a.Reader, user: u, cluster: cluster, slots: make(chan struct{}, CallsAtOnce)}
}

// Caller acts on one cluster as one user, for one request.
type Caller struct {
	*clusters.Caller

	reader  client.Reader
	user    user.Info
	cluster string
	slots   chan struct{}

	mu         sync.Mutex
	asked      bool
	namespaces []string
}

// User is whom the caller acts as.
func (c *Caller) User() user.Info { return c.user }

// Cluster is the name of the cluster.
func (c *Caller) Cluster() string { return c.cluster }

// Namespaces are those that the user's bindings speak of and the cluster lets the user get. It asks once.
func (c *Caller) Namespaces(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		return c.namespaces, nil
	}
	cluster := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := c.reader.Get(ctx, types.NamespacedName{Name: c.cluster}, cluster); err != nil {
		return nil, fmt.Errorf("reading cluster %s: %w", c.cluster, err)
	}
	bound, err := bindings.Naming(ctx, c.reader, c.user.GetName(), c.user.GetGroups())
	if err != nil {
		return nil, err
	}
	found, err := authorization.Readable(ctx, c.Caller, bindings.Reaching(bindings.Selecting(bound, cluster), c.cluster))
	if err != nil {
		return nil, authorization.Unreviewed(err)
	}
	c.namespaces, c.asked = found, true
	return found, nil
}

// Do is clusters.Caller.Do, and waits while the request has as many calls in flight as it may.
func (c *Caller) Do(ctx context.Context, call clusters.Call) (clusters.Answer, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return c.Caller.Do(ctx, call)
	case <-ctx.Done():
		return clusters.Answer{}, fmt.Errorf("waiting to call the cluster: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
	}
}
