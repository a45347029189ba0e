// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Favorite is an object that a user has marked to find it again.
type Favorite struct {
	// id is a number that the user has for no other favorite.
	ID int64 `json:"id"`
	// createdAt is the time at which the object was marked.
	CreatedAt metav1.Time `json:"createdAt"`
	// userId is the name of the KubeVisionUser.
	UserID string `json:"userId"`
	// clusterId is the name of the cluster.
	ClusterID string `json:"clusterId"`
	// namespace of the object, empty for kinds without namespaces.
	Namespace string `json:"namespace"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// resourceName is the name of the object.
	ResourceName string `json:"resourceName"`
	// displayName is the name to show.
	DisplayName string `json:"displayName"`
	// sortOrder is the place in the list, from 0.
	SortOrder int32 `json:"sortOrder"`
}

// FavoriteRequest is the body of POST /favorites and POST /favorites/toggle.
type FavoriteRequest struct {
	// clusterId is the name of the cluster.
	ClusterID string `json:"clusterId"`
	// namespace of the object, left out for kinds without namespaces.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// resourceName is the name of the object.
	ResourceName string `json:"resourceName"`
	// displayName is the name to show; defaults to that of the object.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
}

// FavoriteState says whether an object is a favorite.
type FavoriteState struct {
	// favorited is true for a favorite.
	Favorited bool `json:"favorited"`
	// favorite is the favorite that it is.
	// +optional
	Favorite *Favorite `json:"favorite,omitempty"`
}

// FavoriteOrder is the body of PUT /favorites/reorder.
type FavoriteOrder struct {
	// orderedIds are the ids of favorites. Those that are left out come after
	// them.
	// +listType=set
	OrderedIDs []int64 `json:"orderedIds"`
}

// FavoriteListEnvelope is the answer to GET /favorites.
type FavoriteListEnvelope struct {
	Header `json:",inline"`
	// data are the favorites of the caller, in their order.
	// +optional
	// +listType=atomic
	Data []Favorite `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// FavoriteEnvelope is the answer to POST /favorites.
type FavoriteEnvelope struct {
	Header `json:",inline"`
	// data is the favorite.
	// +optional
	Data *Favorite `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// FavoriteStateEnvelope is the answer to GET /favorites/check and POST
// /favorites/toggle.
type FavoriteStateEnvelope struct {
	Header `json:",inline"`
	// data says whether the object is a favorite.
	// +optional
	Data *FavoriteState `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
