// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authorization_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

var shared controlplane.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func newReviewer(t *testing.T, config *rest.Config) *authorization.Reviewer {
	t.Helper()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return authorization.NewReviewer(kube.AuthorizationV1())
}

// newUser returns a user in a group that may use the given clusters, or all clusters if none are given.
func newUser(t *testing.T, s fixture.Set, clusters ...string) user.Info {
	t.Helper()
	name := fixture.Name("reviewed")
	s.AllowUse(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}, clusters...)
	return &user.DefaultInfo{Name: "kubevision:" + name, Groups: []string{name}}
}

// TestUsableClusters verifies that a user may use the clusters that the RBAC of the host allows, and that a denial does
// not depend on whether the cluster exists.
func TestUsableClusters(t *testing.T) {
	s := fixture.Set{Client: shared.Client(t)}
	r := newReviewer(t, shared.Cluster(t).Config())
	var all []kubevisionv1alpha1.KubeVisionCluster
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for name, tc := range map[string]struct {
		user user.Info
		want []string
	}{
		"all":      {newUser(t, s), []string{"a", "b", "c"}},
		"two":      {newUser(t, s, "a", "c"), []string{"a", "c"}},
		"another":  {newUser(t, s, "d"), nil},
		"stranger": {&user.DefaultInfo{Name: "stranger"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			usable, err := r.UsableClusters(t.Context(), tc.user, all)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range usable {
				got = append(got, usable[i].Name)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("the usable clusters are %v, want %v", got, tc.want)
			}
			for _, cluster := range []string{"a", "b", "c"} {
				err := r.CheckUse(t.Context(), tc.user, cluster)
				refused, ok := errors.AsType[*envelope.Error](err)
				switch {
				case slices.Contains(tc.want, cluster) && err != nil:
					t.Errorf("%s: %v", cluster, err)
				case !slices.Contains(tc.want, cluster) &&
					(!ok || refused.Code != dashboardv1alpha1.CodeClusterForbidden):
					t.Errorf("%s: got %v, want a refusal", cluster, err)
				}
			}
		})
	}
}

// TestReviewErrors verifies that a user is denied access if the access review returns an error. CheckUse must then
// return CodeUnreachable instead of CodeClusterForbidden.
func TestReviewErrors(t *testing.T) {
	plane := shared.Cluster(t)
	allowed := newUser(t, fixture.Set{Client: shared.Client(t)})
	unreachable := rest.CopyConfig(plane.Config())
	unreachable.Host = "https://127.0.0.1:1"
	powerless, err := plane.UserConfig("powerless")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		config      *rest.Config
		unavailable bool
	}{
		"a host that cannot be reached":           {unreachable, true},
		"an account without the right to reviews": {powerless, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReviewer(t, tc.config)
			ok, err := r.MayUseCluster(t.Context(), allowed, "a")
			if ok || err == nil || errors.Is(err, authorization.ErrHostUnavailable) != tc.unavailable {
				t.Errorf("allowed is %v (%v)", ok, err)
			}
			failed, isEnvelope := errors.AsType[*envelope.Error](r.CheckUse(t.Context(), allowed, "a"))
			if !isEnvelope || failed.Code != dashboardv1alpha1.CodeUnreachable {
				t.Errorf("got %v, want code %d", failed, dashboardv1alpha1.CodeUnreachable)
			}
			if _, err := r.UsableClusters(t.Context(), allowed, nil); err == nil {
				t.Error("the list of clusters has no error")
			}
		})
	}
}

// TestListClusters verifies that clusters are sorted.
func TestListClusters(t *testing.T) {
	c := shared.Client(t)
	s := fixture.Set{Client: c}
	prefix := fixture.Name("listed")
	want := []string{prefix + "-a", prefix + "-b"}
	for _, name := range []string{want[1], want[0]} {
		s.Create(t, &kubevisionv1alpha1.KubeVisionCluster{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
				KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: prefix},
			},
		})
	}
	all, err := authorization.ListClusters(t.Context(), client.Reader(c))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range all {
		got = append(got, all[i].Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the clusters are %v, want %v", got, want)
	}
}
