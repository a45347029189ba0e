// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scopedlist lists the objects of a cluster that a caller may read. It first requests one list of the whole
// cluster. If the cluster denies this request, it requests one list for each namespace whose Namespace object the
// caller may get. Therefore, the result does not reveal the names or the number of other namespaces.
//
// ListCached and Cached use the read cache if possible. They then review the rights of the caller instead of requesting
// lists. The package also records the objects that are omitted from a list because they are too large to be decoded.
package scopedlist

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// CallsAtOnce bounds the number of concurrent calls of one request to one cluster.
const CallsAtOnce = 8

// Access connects callers to clusters, and restricts lists to the namespaces that the caller may read.
type Access struct {
	*authorization.Access

	// Reader reads KubeVision's custom resources.
	Reader client.Reader
	// Cache is the read cache. It is nil if the read cache is disabled.
	Cache *readcache.Cache
	// Verdicts authorizes reads from the read cache. It is nil if the read cache is disabled.
	Verdicts Verdicts
	// Listed is called after each successful list request of u. resource is the name in the path of the request, for
	// example deployments.apps. t contains the resource to which this name refers. Listed may be nil.
	Listed func(u user.Info, cluster, resource string, t objectref.Target)
}

// Cluster returns a Client for the cluster in the path of the request. It returns an error if u lacks the verb "use"
// for the KubeVisionCluster. Therefore, it serves as the access check of the routes below /clusters/{cluster}. It also
// returns an error if the cluster is not connected.
func (a *Access) Cluster(r *routes.Request, u user.Info) (*Client, error) {
	caller, err := a.Access.Cluster(r, u)
	if err != nil {
		return nil, err
	}
	return a.newClient(caller, u, r.Path(authorization.ClusterParameter)), nil
}

// ClusterByName returns a Client for the cluster with the given name. It returns an error if u lacks the verb "use"
// for the KubeVisionCluster, or if the cluster is not connected.
func (a *Access) ClusterByName(ctx context.Context, u user.Info, cluster string) (*Client, error) {
	caller, err := a.Access.ClusterByName(ctx, u, cluster)
	if err != nil {
		return nil, err
	}
	return a.newClient(caller, u, cluster), nil
}

func (a *Access) newClient(c *clusters.Client, u user.Info, cluster string) *Client {
	return &Client{
		Client: c, reader: a.Reader, cache: a.Cache, verdicts: a.Verdicts, user: u, cluster: cluster,
		slots: make(chan struct{}, CallsAtOnce), listed: a.Listed,
	}
}

// Client calls one cluster as one user, for one request.
type Client struct {
	*clusters.Client

	reader   client.Reader
	cache    *readcache.Cache
	verdicts Verdicts
	user     user.Info
	cluster  string
	slots    chan struct{}
	listed   func(u user.Info, cluster, resource string, t objectref.Target)

	mu         sync.Mutex
	asked      bool
	namespaces []string
}

// User returns the user as whom the client calls the cluster.
func (c *Client) User() user.Info { return c.user }

// Cluster returns the name of the cluster.
func (c *Client) Cluster() string { return c.cluster }

// Namespaces returns the namespaces that the user's KubeVisionRoleBindings select. It omits a namespace if the cluster
// does not allow the user to get the Namespace object. The result is cached for the request.
func (c *Client) Namespaces(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		return c.namespaces, nil
	}
	bound, err := c.bound(ctx)
	if err != nil {
		return nil, err
	}
	found, err := authorization.ReadableNamespaces(ctx, c.Client, bound)
	if err != nil {
		return nil, authorization.NewReviewFailed(err)
	}
	c.namespaces, c.asked = found, true
	return found, nil
}

// bound returns the names of the namespaces that the user's KubeVisionRoleBindings select on the cluster.
func (c *Client) bound(ctx context.Context) ([]string, error) {
	bound, err := c.bindings(ctx)
	return bindings.BoundNamespaces(bound, c.cluster), err
}

// roles returns the roles that KubeVisionRoleBindings grant to the user in a namespace of the cluster. An empty
// namespace means the whole cluster.
func (c *Client) roles(ctx context.Context, namespace string) ([]kubevisionv1alpha1.RoleReference, error) {
	bound, err := c.bindings(ctx)
	return bindings.GrantedRoles(bound, c.cluster, namespace), err
}

func (c *Client) bindings(ctx context.Context) ([]kubevisionv1alpha1.KubeVisionRoleBinding, error) {
	cluster := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := c.reader.Get(ctx, types.NamespacedName{Name: c.cluster}, cluster); err != nil {
		return nil, fmt.Errorf("reading cluster %s: %w", c.cluster, err)
	}
	bound, err := bindings.ListForUser(ctx, c.reader, c.user.GetName(), c.user.GetGroups())
	if err != nil {
		return nil, err
	}
	return bindings.SelectForCluster(bound, cluster), nil
}

// Do is like clusters.Client.Do. It sends at most CallsAtOnce calls of one request concurrently. Further calls wait.
func (c *Client) Do(ctx context.Context, call clusters.Call) (clusters.Response, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return c.Client.Do(ctx, call)
	case <-ctx.Done():
		return clusters.Response{}, fmt.Errorf(
			"waiting to call the cluster: %w",
			errors.Join(ctx.Err(), context.Cause(ctx)),
		)
	}
}
