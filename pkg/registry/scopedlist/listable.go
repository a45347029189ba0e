// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// listable returns the objects of t that the caller may list. It takes them from v, the list in the read cache. If the
// caller may list the kind in the whole cluster, listable returns all objects of t. Otherwise, it returns the objects
// in those namespaces in which the caller may list the kind. It returns false if there is no such namespace.
func (c *Client) listable(ctx context.Context, t objectref.Target, v readcache.View) (*Cached, bool, error) {
	out := &Cached{View: v}
	allowed, err := c.may(ctx, t.Attributes("list"), v)
	switch {
	case err != nil:
		return nil, false, err
	case allowed && t.Namespace != "":
		out.Groups = v.In(t.Namespace)
		return out, true, nil
	case allowed:
		out.Groups = v.Groups
		return out, true, nil
	case t.Namespace != "" || (!t.Resource.Namespaced && !isNamespaces(t.Resource)):
		return nil, false, nil
	}
	out.Partial = true
	namespaces, err := c.namespacesIn(ctx, v)
	if err != nil {
		return nil, false, err
	}
	if isNamespaces(t.Resource) {
		out.restrictTo(namespaces)
		return out, len(out.Namespaces) > 0 || (v.Count == 0 && len(namespaces) > 0), nil
	}
	list := func(namespace string) authorizationv1.ResourceAttributes {
		one := t
		one.Namespace = namespace
		return one.Attributes("list")
	}
	out.Namespaces, err = c.allowedNamespaces(ctx, v, namespaces, list)
	if err != nil {
		return nil, false, err
	}
	for _, namespace := range out.Namespaces {
		out.Groups = append(out.Groups, v.In(namespace)...)
	}
	return out, len(out.Namespaces) > 0, nil
}

// restrictTo restricts a list of Namespaces to the Namespaces with the given names.
func (c *Cached) restrictTo(names []string) {
	var objects []*readcache.Object
	for _, name := range names {
		if o := c.Get("", name); o != nil {
			objects = append(objects, o)
			c.Namespaces = append(c.Namespaces, name)
		}
	}
	if len(objects) > 0 {
		c.Groups = readcache.Groups{{readcache.NewGroup(objects)}}
	}
}

// namespacesIn returns the namespaces that KubeVisionRoleBindings of the caller select. It omits a namespace if the
// caller may not get the Namespace object. Unlike Client.Namespaces, it uses cached access reviews.
func (c *Client) namespacesIn(ctx context.Context, v readcache.View) ([]string, error) {
	bound, err := c.bound(ctx)
	if err != nil {
		return nil, err
	}
	return c.allowedNamespaces(ctx, v, bound, func(namespace string) authorizationv1.ResourceAttributes {
		return authorizationv1.ResourceAttributes{
			Version: "v1", Resource: "namespaces", Verb: "get", Namespace: namespace, Name: namespace,
		}
	})
}

// allowedNamespaces filters the namespaces. It keeps those in which the caller may read objects of the cached list v.
// The function attributesIn returns the ResourceAttributes of the read in one namespace.
func (c *Client) allowedNamespaces(
	ctx context.Context,
	v readcache.View,
	namespaces []string,
	attributesIn func(string) authorizationv1.ResourceAttributes,
) ([]string, error) {
	allowed := make([]bool, len(namespaces))
	err := fanout.Each(ctx, len(namespaces), authorization.ReviewsAtOnce, func(ctx context.Context, i int) (err error) {
		allowed[i], err = c.may(ctx, attributesIn(namespaces[i]), v)
		return err
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its code
	}
	var out []string
	for i, namespace := range namespaces {
		if allowed[i] {
			out = append(out, namespace)
		}
	}
	return out, nil
}
