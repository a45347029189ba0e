// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Favorite is an object that a user has added to a personal list to find it again.
type Favorite struct {
	// id is a number that is unique among the user's favorites.
	ID int64 `json:"id"`
	// createdAt is the time at which the user made the object a favorite.
	CreatedAt metav1.Time `json:"createdAt"`
	// userId is the name of the KubeVisionUser.
	UserID string `json:"userId"`
	// clusterId is the name of the cluster.
	ClusterID string `json:"clusterId"`
	// namespace is the namespace of the object. It is empty for cluster-scoped kinds.
	Namespace string `json:"namespace"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// resourceName is the name of the object.
	ResourceName string `json:"resourceName"`
	// displayName is the name that dashboards show for the object. The default is the name of the object.
	DisplayName string `json:"displayName"`
	// sortOrder is the position in the list, from 0.
	SortOrder int32 `json:"sortOrder"`
}

// FavoriteRequest is the body of POST /favorites and POST /favorites/toggle.
type FavoriteRequest struct {
	// clusterId is the name of the cluster.
	ClusterID string `json:"clusterId"`
	// namespace is the namespace of the object. It is absent for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// resourceName is the name of the object.
	ResourceName string `json:"resourceName"`
	// displayName is the name that dashboards show for the object. The default is the name of the object.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
}

// FavoriteState describes whether an object is a favorite.
type FavoriteState struct {
	// favorited is true if the requested object is a favorite.
	Favorited bool `json:"favorited"`
	// favorite describes the requested object as a favorite. It is absent if favorited is false.
	// +optional
	Favorite *Favorite `json:"favorite,omitempty"`
}

// FavoriteOrder is the body of PUT /favorites/reorder.
type FavoriteOrder struct {
	// orderedIds are the ids of favorites in their new order. Favorites that are not listed follow.
	// +listType=set
	OrderedIDs []int64 `json:"orderedIds"`
}

// FavoriteListEnvelope is the response to GET /favorites.
type FavoriteListEnvelope struct {
	Header `json:",inline"`
	// data contains the favorites of the caller, in the order that the caller has chosen.
	// +optional
	// +listType=atomic
	Data []Favorite `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// FavoriteEnvelope is the response to POST /favorites.
type FavoriteEnvelope struct {
	Header `json:",inline"`
	// data is the favorite.
	// +optional
	Data *Favorite `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// FavoriteStateEnvelope is the response to GET /favorites/check and POST /favorites/toggle.
type FavoriteStateEnvelope struct {
	Header `json:",inline"`
	// data is the state of the object.
	// +optional
	Data *FavoriteState `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
