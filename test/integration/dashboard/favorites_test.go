// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func favorite(name string) dashboardv1alpha1.FavoriteRequest {
	return dashboardv1alpha1.FavoriteRequest{
		ClusterID: host, Namespace: "demo", ResourceType: "deployments", ResourceName: name,
	}
}

func checkPath(name string) string {
	return "/favorites/check?cluster_id=" + host + "&resource_type=deployments&name=" + name + "&namespace=demo"
}

func listed(tb testing.TB, b *browser) []string {
	tb.Helper()
	names := []string{}
	for i, f := range read[[]dashboardv1alpha1.Favorite](tb, b, "/favorites") {
		names = append(names, f.ResourceName)
		if int(f.SortOrder) != i || f.UserID != b.Name || f.ClusterID != host || f.CreatedAt.IsZero() {
			tb.Errorf("the favorite at %d is %+v", i, f)
		}
	}
	return names
}

func configMapOf(b *browser) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: fixture.SystemNamespace, Name: "kubevision-favorites-" + b.Name,
	}}
}

// TestFavorites verifies that a user can mark, order and remove favorites, and that other users do not see them.
func TestFavorites(t *testing.T) {
	b, other := newBrowser(t, ""), newBrowser(t, "")
	if got := listed(t, b); len(got) != 0 {
		t.Fatalf("a new user has the favorites %v", got)
	}
	var state dashboardv1alpha1.FavoriteState
	ids := map[string]int64{}
	for _, name := range []string{"a", "b", "c"} {
		b.call(t, http.MethodPost, "/favorites/toggle", favorite(name)).Want(t, wire.OK).Into(t, &state)
		if !state.Favorited || state.Favorite == nil || state.Favorite.DisplayName != name {
			t.Fatalf("%s: %+v", name, state)
		}
		ids[name] = state.Favorite.ID
	}
	if got := read[dashboardv1alpha1.FavoriteState](t, b, checkPath("b")); !got.Favorited ||
		got.Favorite.ID != ids["b"] {
		t.Errorf("b is %+v", got)
	}
	order := dashboardv1alpha1.FavoriteOrder{OrderedIDs: []int64{ids["c"], ids["a"], 4711}}
	b.call(t, http.MethodPut, "/favorites/reorder", order).Want(t, wire.OK)
	if got := listed(t, b); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("reordered: %v", got)
	}
	b.call(t, http.MethodPost, "/favorites", favorite("a")).Want(t, wire.Conflict)
	b.call(t, http.MethodPost, "/favorites/toggle", favorite("a")).Want(t, wire.OK)
	b.call(t, http.MethodDelete, "/favorites/"+strconv.FormatInt(ids["c"], 10), nil).Want(t, wire.OK)
	b.call(t, http.MethodDelete, "/favorites/"+strconv.FormatInt(ids["c"], 10), nil).Want(t, wire.NotFound)
	b.call(t, http.MethodDelete, "/favorites/c", nil).Want(t, wire.Invalid)
	if got := listed(t, b); !slices.Equal(got, []string{"b"}) {
		t.Errorf("after two deletions: %v", got)
	}
	if got := read[dashboardv1alpha1.FavoriteState](t, b, checkPath("a")); got.Favorited {
		t.Errorf("a is %+v", got)
	}
	if got := listed(t, other); len(got) != 0 {
		t.Errorf("another user has the favorites %v", got)
	}
	stored := configMapOf(b)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	owners := stored.OwnerReferences
	if len(owners) != 1 || owners[0].UID != b.Object.UID || owners[0].Kind != "KubeVisionUser" {
		t.Errorf("the user does not own the favorites: %+v", owners)
	}
}

// TestFavoritesRefuse verifies that malformed names, and favorites beyond the limit, are rejected.
func TestFavoritesRefuse(t *testing.T) {
	b := newBrowser(t, "")
	for name, change := range map[string]func(*dashboardv1alpha1.FavoriteRequest){
		"cluster":        func(f *dashboardv1alpha1.FavoriteRequest) { f.ClusterID = "../x" },
		"namespace":      func(f *dashboardv1alpha1.FavoriteRequest) { f.Namespace = "A" },
		"kind":           func(f *dashboardv1alpha1.FavoriteRequest) { f.ResourceType = "a/b" },
		"name":           func(f *dashboardv1alpha1.FavoriteRequest) { f.ResourceName = ".." },
		"long name":      func(f *dashboardv1alpha1.FavoriteRequest) { f.ResourceName = strings.Repeat("x", 254) },
		"name to show":   func(f *dashboardv1alpha1.FavoriteRequest) { f.DisplayName = "a\nb" },
		"long to show":   func(f *dashboardv1alpha1.FavoriteRequest) { f.DisplayName = strings.Repeat("x", 254) },
		"no cluster":     func(f *dashboardv1alpha1.FavoriteRequest) { f.ClusterID = "" },
		"no name at all": func(f *dashboardv1alpha1.FavoriteRequest) { f.ResourceName = "" },
	} {
		body := favorite("x")
		change(&body)
		e := b.call(t, http.MethodPost, "/favorites/toggle", body)
		if want := map[bool]int{true: wire.Required,
			false: wire.Invalid}[strings.HasPrefix(name, "no ")]; e.Code != want {
			t.Errorf("%s: code %d (%s), want %d", name, e.Code, e.Message, want)
		}
	}
	const most = 100
	for i := range most {
		b.call(t, http.MethodPost, "/favorites/toggle", favorite(fmt.Sprintf("f%d", i))).Want(t, wire.OK)
	}
	b.call(t, http.MethodPost, "/favorites/toggle", favorite("one-more")).Want(t, wire.Conflict)
	if got := listed(t, b); len(got) != most {
		t.Errorf("there are %d favorites", len(got))
	}
	long := newBrowser(t, "")
	refused := 0
	for i := range most {
		f := favorite(fmt.Sprintf("%0*d", 253, i))
		f.DisplayName = strings.Repeat("é", 126)
		if e := long.call(t, http.MethodPost, "/favorites/toggle", f); e.Code == wire.Conflict {
			refused++
		}
	}
	stored := configMapOf(long)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	if size := len(stored.Data["favorites"]); refused == 0 || size > 32<<10 {
		t.Errorf("long names take %d bytes, and %d were refused", size, refused)
	}
}

// TestFavoritesAtOnce verifies that no favorite is lost if a user marks several objects concurrently.
func TestFavoritesAtOnce(t *testing.T) {
	b := newBrowser(t, "")
	var tabs sync.WaitGroup
	const many = 4
	for i := range many {
		tabs.Go(func() {
			r := b.request(t, http.MethodPost, "/favorites/toggle", favorite(fmt.Sprintf("tab%d", i)))
			if err := b.client.Answers(t.Context(), wire.OK, r); err != nil {
				t.Error(err)
			}
		})
	}
	tabs.Wait()
	if got := listed(t, b); len(got) != many {
		t.Errorf("of %d favorites, %v are there", many, got)
	}
}

// TestFavoritesOfOthers verifies the protection of the ConfigMap that stores the favorites of a user:
//   - KubeVision ignores the favorites if the user is not the owner of the ConfigMap.
//   - KubeVision does not change the ConfigMap if the label of KubeVision is missing.
//   - An administrator cannot change the ConfigMap.
func TestFavoritesOfOthers(t *testing.T) {
	b := newBrowser(t, "")
	b.call(t, http.MethodPost, "/favorites/toggle", favorite("mine")).Want(t, wire.OK)
	stored := configMapOf(b)
	change := func(how func()) {
		t.Helper()
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
			t.Fatal(err)
		}
		how()
		if err := env.Programs.Update(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
	}
	change(func() { stored.OwnerReferences = nil })
	if got := listed(t, b); len(got) != 0 {
		t.Errorf("those of nobody are listed: %v", got)
	}
	change(func() { stored.Labels = nil })
	b.call(t, http.MethodPost, "/favorites/toggle", favorite("other")).Want(t, wire.Conflict)
	set().Later(t, stored)
	other := client.RawPatch(types.MergePatchType, []byte(`{"data":{"favorites":"x"}}`))
	err := env.Client.Patch(t.Context(), stored, other)
	if !apierrors.IsForbidden(err) {
		t.Errorf("an administrator writes favorites: %v", err)
	}
}

// TestFavoritesOfStrangers verifies that a caller who is not a KubeVisionUser gets an empty list and no error.
func TestFavoritesOfStrangers(t *testing.T) {
	config, err := env.Cluster.UserConfig("jane")
	if err != nil {
		t.Fatal(err)
	}
	c, err := wire.ForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/favorites": "[]", checkPath("x"): `{"favorited":false}`} {
		e := c.Call(t, wire.Request{Path: wire.GroupPath + path}).Want(t, wire.OK)
		if got := string(e.Data); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	e := c.Call(t, wire.Request{
		Method: http.MethodPost, Path: wire.GroupPath + "/favorites/toggle",
		Body: `{"clusterId":"host","resourceType":"nodes","resourceName":"x"}`,
	})
	e.Want(t, wire.Conflict)
}
