// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package favorite

import (
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// maxFavorites bounds the number of favorites of a user.
	maxFavorites = 100
	// maxNameBytes is the maximum length of the name of a favorite, in bytes. It is also the maximum length of the
	// display name.
	maxNameBytes = 253
)

// object identifies a Kubernetes object of a registered cluster.
type object struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace,omitempty"`
	Resource  string `json:"resource"`
	Name      string `json:"name"`
}

// parameterNames contains the names of the request parameters that identify an object, for error messages.
type parameterNames struct{ cluster, namespace, resource, name string }

// validate returns an error if a field of o has an invalid format. It does not check whether the object exists, because
// favorites may outlive objects.
func (o object) validate(p parameterNames) error {
	if err := routes.CheckSubdomain(p.cluster, o.Cluster); err != nil {
		return err
	}
	if o.Namespace != "" {
		if err := routes.CheckLabel(p.namespace, o.Namespace); err != nil {
			return err
		}
	}
	if err := routes.CheckSubdomain(p.resource, o.Resource); err != nil {
		return err
	}
	if o.Name == "" {
		return envelope.Required(p.name)
	}
	if problems := content.IsPathSegmentName(o.Name); len(problems) > 0 {
		return envelope.Invalid(p.name, "%s %s", p.name, strings.Join(problems, "; "))
	}
	return checkText(p.name, o.Name)
}

func checkDisplayName(name string) error { return checkText("displayName", name) }

func checkText(field, text string) error {
	if len(text) > maxNameBytes || strings.ContainsFunc(text, unicode.IsControl) {
		return envelope.Invalid(field, "%s must have at most %d bytes and no control characters", field, maxNameBytes)
	}
	return nil
}

// item is a stored favorite.
type item struct {
	object

	ID          int64       `json:"id"`
	CreatedAt   metav1.Time `json:"createdAt"`
	DisplayName string      `json:"displayName"`
}

// favorites contains the favorites of one user, in the order that the user has chosen.
type favorites struct {
	// LastID is the highest ID that was assigned, including the IDs of removed favorites.
	LastID int64  `json:"lastId"`
	Items  []item `json:"items"`
}

func (f *favorites) find(o object) int {
	return slices.IndexFunc(f.Items, func(i item) bool { return i.object == o })
}

func (f *favorites) add(o object, displayName string) error {
	if len(f.Items) >= maxFavorites {
		return envelope.New(dashboardv1alpha1.CodeConflict, "you have %d favorites: remove one of them first",
			maxFavorites)
	}
	f.LastID++
	f.Items = append(f.Items, item{object: o, ID: f.LastID, CreatedAt: metav1.Now(), DisplayName: displayName})
	return nil
}

// reorder moves the favorites with the given IDs to the front, in the order of ids. All other favorites keep their
// order.
func (f *favorites) reorder(ids []int64) {
	place := make(map[int64]int, len(ids))
	for i, id := range ids {
		place[id] = i - len(ids)
	}
	slices.SortStableFunc(f.Items, func(a, b item) int { return place[a.ID] - place[b.ID] })
}

func (f *favorites) describe(user string, i int) dashboardv1alpha1.Favorite {
	kept := f.Items[i]
	return dashboardv1alpha1.Favorite{
		ID: kept.ID, CreatedAt: kept.CreatedAt, UserID: user, ClusterID: kept.Cluster, Namespace: kept.Namespace,
		ResourceType: kept.Resource, ResourceName: kept.Name, DisplayName: kept.DisplayName,
		SortOrder: int32(i), //nolint:gosec // there are few favorites
	}
}

func (f *favorites) state(user string, o object) dashboardv1alpha1.FavoriteState {
	i := f.find(o)
	if i < 0 {
		return dashboardv1alpha1.FavoriteState{}
	}
	return dashboardv1alpha1.FavoriteState{Favorited: true, Favorite: new(f.describe(user, i))}
}
