// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package favorite serves the objects that users have marked as favorites. The favorites of each user are stored in one
// ConfigMap in KubeVision's namespace.
package favorite

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const paramFavorite = "favorite"

// Provider provides the endpoints of this package.
type Provider struct {
	// Client reads and writes the ConfigMaps with the ServiceAccount of KubeVision.
	Client client.Client
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/favorites", Operation: "listFavorites", Ambient: true,
			Doc: "list the favorites of the caller", Returns: dashboardv1alpha1.FavoriteListEnvelope{},
			Endpoint: routes.Self(e.list),
		},
		{
			Method: http.MethodGet, Path: "/favorites/check", Operation: "checkFavorite",
			Doc:     "check whether an object is a favorite of the caller",
			Returns: dashboardv1alpha1.FavoriteStateEnvelope{},
			Parameters: map[string]string{
				"cluster_id": "the name of the cluster", "resource_type": "the plural name of the kind",
				"name": "the name of the object", "namespace": "the namespace of a namespaced object",
			},
			Endpoint: routes.Self(e.check),
		},
		{
			Method: http.MethodPost, Path: "/favorites", Operation: "addFavorite",
			Doc:   "add an object to the favorites of the caller",
			Reads: dashboardv1alpha1.FavoriteRequest{}, Returns: dashboardv1alpha1.FavoriteEnvelope{},
			Endpoint: routes.Self(forUser(e.add)),
		},
		{
			Method: http.MethodPost, Path: "/favorites/toggle", Operation: "toggleFavorite",
			Doc:   "add an object to the favorites of the caller, or remove it",
			Reads: dashboardv1alpha1.FavoriteRequest{}, Returns: dashboardv1alpha1.FavoriteStateEnvelope{},
			Endpoint: routes.Self(forUser(e.toggle)),
		},
		{
			Method: http.MethodPut, Path: "/favorites/reorder", Operation: "reorderFavorites",
			Doc:   "reorder the favorites of the caller",
			Reads: dashboardv1alpha1.FavoriteOrder{}, Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.Self(forUser(e.reorder)),
		},
		{
			Method: http.MethodDelete, Path: "/favorites/{favorite}", Operation: "deleteFavorite",
			Doc: "remove a favorite of the caller", Returns: dashboardv1alpha1.Envelope{},
			Parameters: map[string]string{paramFavorite: "the id of the favorite"},
			Endpoint:   routes.Self(forUser(e.remove)),
		},
	}
}

// forUser returns a handler that calls handle() if the caller is a KubeVisionUser. The handler returns an error for all
// other callers, because the ConfigMap with favorites must be owned by a KubeVisionUser.
func forUser(
	handle func(*routes.Request, *authentication.Principal) (routes.Result, error),
) func(*routes.Request, user.Info) (routes.Result, error) {
	return func(r *routes.Request, u user.Info) (routes.Result, error) {
		p, ok := u.(*authentication.Principal)
		if !ok {
			return routes.Result{}, envelope.New(dashboardv1alpha1.CodeConflict,
				"only KubeVision users have favorites: you are authenticated by Kubernetes")
		}
		return handle(r, p)
	}
}

func (e *Provider) list(r *routes.Request, u user.Info) (routes.Result, error) {
	p, ok := u.(*authentication.Principal)
	if !ok {
		return hostobjects.List[dashboardv1alpha1.Favorite](nil), nil
	}
	_, kept, err := e.load(r.Context(), p.User)
	if err != nil {
		return routes.Result{}, err
	}
	out := make([]dashboardv1alpha1.Favorite, 0, len(kept.Items))
	for i := range kept.Items {
		out = append(out, kept.describe(p.User.Name, i))
	}
	return hostobjects.List(out), nil
}

func (e *Provider) check(r *routes.Request, u user.Info) (routes.Result, error) {
	o := object{
		Cluster: r.Query("cluster_id"), Namespace: r.Query("namespace"),
		Resource: r.Query("resource_type"), Name: r.Query("name"),
	}
	if err := o.validate(parameterNames{"cluster_id", "namespace", "resource_type", "name"}); err != nil {
		return routes.Result{}, err
	}
	state := dashboardv1alpha1.FavoriteState{}
	if p, ok := u.(*authentication.Principal); ok {
		_, kept, err := e.load(r.Context(), p.User)
		if err != nil {
			return routes.Result{}, err
		}
		state = kept.state(p.User.Name, o)
	}
	return routes.Result{Data: state}, nil
}

// read returns the object that the body of r identifies, and the display name of the favorite.
func read(r *routes.Request) (object, string, error) {
	var body dashboardv1alpha1.FavoriteRequest
	if err := r.ReadJSON(&body); err != nil {
		return object{}, "", err
	}
	o := object{
		Cluster: body.ClusterID, Namespace: body.Namespace, Resource: body.ResourceType, Name: body.ResourceName,
	}
	if err := o.validate(parameterNames{"clusterId", "namespace", "resourceType", "resourceName"}); err != nil {
		return object{}, "", err
	}
	return o, cmp.Or(body.DisplayName, body.ResourceName), checkDisplayName(body.DisplayName)
}

func (e *Provider) add(r *routes.Request, p *authentication.Principal) (routes.Result, error) {
	o, displayName, err := read(r)
	if err != nil {
		return routes.Result{}, err
	}
	var added dashboardv1alpha1.Favorite
	err = e.change(r.Context(), p.User, func(kept *favorites) error {
		if kept.find(o) >= 0 {
			return envelope.New(dashboardv1alpha1.CodeConflict, "%q is already a favorite", o.Name)
		}
		err := kept.add(o, displayName)
		added = kept.describe(p.User.Name, len(kept.Items)-1)
		return err
	})
	return routes.Result{Data: added}, err
}

func (e *Provider) toggle(r *routes.Request, p *authentication.Principal) (routes.Result, error) {
	o, displayName, err := read(r)
	if err != nil {
		return routes.Result{}, err
	}
	var state dashboardv1alpha1.FavoriteState
	err = e.change(r.Context(), p.User, func(kept *favorites) (err error) {
		if i := kept.find(o); i >= 0 {
			kept.Items = slices.Delete(kept.Items, i, i+1)
		} else {
			err = kept.add(o, displayName)
		}
		state = kept.state(p.User.Name, o)
		return err
	})
	return routes.Result{Data: state}, err
}

func (e *Provider) reorder(r *routes.Request, p *authentication.Principal) (routes.Result, error) {
	var body dashboardv1alpha1.FavoriteOrder
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if body.OrderedIDs == nil {
		return routes.Result{}, envelope.Required("orderedIds")
	}
	return routes.Result{}, e.change(r.Context(), p.User, func(kept *favorites) error {
		kept.reorder(body.OrderedIDs)
		return nil
	})
}

func (e *Provider) remove(r *routes.Request, p *authentication.Principal) (routes.Result, error) {
	id, err := strconv.ParseInt(r.Path(paramFavorite), 10, 64)
	if err != nil {
		return routes.Result{}, envelope.Invalid(paramFavorite, "the id of a favorite must be an integer")
	}
	return routes.Result{}, e.change(r.Context(), p.User, func(kept *favorites) error {
		left := slices.DeleteFunc(slices.Clone(kept.Items), func(i item) bool { return i.ID == id })
		if len(left) == len(kept.Items) {
			return envelope.New(dashboardv1alpha1.CodeNotFound, "there is no favorite %d", id)
		}
		kept.Items = left
		return nil
	})
}
