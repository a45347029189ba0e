// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"context"
	"net/url"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// Scope describes which objects of a list the caller may list.
type Scope struct {
	// All is true if the caller may list all objects.
	All bool
	// Namespaces contains the namespaces whose objects the caller may list. For a list of Namespace objects, it
	// contains the names of the Namespace objects that the caller may list. It is nil if All is true.
	Namespaces map[string]bool
	// ofNamespaces is true for a list of Namespaces.
	ofNamespaces bool
}

// Empty returns true if the caller is not allowed to list any object.
func (s Scope) Empty() bool { return !s.All && len(s.Namespaces) == 0 }

// Has returns true if the caller may list the object with this namespace and name.
func (s Scope) Has(namespace, name string) bool {
	if s.ofNamespaces {
		namespace = name
	}
	return s.All || s.Namespaces[namespace]
}

// IsWatchable returns true if the read cache is enabled in this server and for the cluster.
func (c *Client) IsWatchable(ctx context.Context) bool {
	return c.cache != nil && c.verdicts != nil && Connected{c.Connection()}.enabled(ctx)
}

// NotifyListed calls the function Access.Listed, if it is set. NotifyListed must be called after the caller has listed
// the objects of t successfully. resource is the name of the resource in the request.
func (c *Client) NotifyListed(resource string, t objectref.Target) {
	if c.listed != nil {
		c.listed(c.user, c.cluster, resource, t)
	}
}

// CheckScope returns nil if the caller may list all objects of t, or the objects in at least one namespace. Otherwise,
// it returns the error with which the cluster rejects a list of t.
func (c *Client) CheckScope(ctx context.Context, t objectref.Target) error {
	scope, err := c.Scope(ctx, t, readcache.View{Snapshot: &readcache.Snapshot{}})
	if err != nil || !scope.Empty() {
		return err
	}
	call := t.Call("")
	call.Query = url.Values{"limit": {"1"}}
	_, err = c.Do(ctx, call)
	if err == nil { // the caller got the right after the access review
		return nil
	}
	return authorization.CallError(ctx, c.Client, t.Attributes("list"), err)
}

// Scope returns which objects of t the caller may list. The result is valid only for objects in v, the cached list of
// the kind.
func (c *Client) Scope(ctx context.Context, t objectref.Target, v readcache.View) (Scope, error) {
	allowed, err := c.may(ctx, t.Attributes("list"), v)
	if err != nil || allowed {
		return Scope{All: allowed}, err
	}
	if t.Namespace != "" || (!t.Resource.Namespaced && !isNamespaces(t.Resource)) {
		return Scope{}, nil
	}
	out := Scope{Namespaces: map[string]bool{}, ofNamespaces: isNamespaces(t.Resource)}
	namespaces, err := c.namespacesIn(ctx, v)
	if err == nil && !out.ofNamespaces {
		list := func(namespace string) authorizationv1.ResourceAttributes {
			one := t
			one.Namespace = namespace
			return one.Attributes("list")
		}
		namespaces, err = c.allowedNamespaces(ctx, v, namespaces, list)
	}
	if err != nil {
		return Scope{}, err
	}
	for _, namespace := range namespaces {
		out.Namespaces[namespace] = true
	}
	return out, nil
}
