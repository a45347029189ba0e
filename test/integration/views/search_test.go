// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package views_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func counts(r dashboardv1alpha1.SearchResults) map[string]int64 {
	out := map[string]int64{}
	for _, g := range r.Results {
		out[g.ResourceType] = g.Total
	}
	return out
}

func TestSearchFindsWhatMayBeListed(t *testing.T) {
	w := newWorld(t)
	limited, all := newViewer(t, "dev", w.mine), newViewer(t, "admin")
	path := onHost + "/search?q=" + w.mark

	got, meta := read[dashboardv1alpha1.SearchResults](t, limited, path)
	if c := counts(got); got.Total != 3 || c["pods"] != 1 || c["secrets"] != 1 || c["services"] != 1 {
		t.Errorf("the limited user finds %+v", got)
	}
	if !meta.Partial || !slices.Equal(meta.Namespaces, []string{w.mine}) || meta.Total == nil || *meta.Total != 3 ||
		len(meta.Warnings) > 0 {
		t.Errorf("meta is %+v", meta)
	}
	for _, g := range got.Results {
		if len(g.Items) != 1 || g.ResourceType != g.Items[0].ResourceType || g.Items[0].Name != w.mark ||
			g.Items[0].Namespace != w.mine || g.Items[0].Kind == "" {
			t.Errorf("the group is %+v", g)
		}
	}
	got, _ = read[dashboardv1alpha1.SearchResults](t, all, path)
	if c := counts(got); got.Total != 6 || c["pods"] != 2 || c["secrets"] != 2 {
		t.Errorf("the administrator's search finds %+v", got)
	}
	if first := got.Results[0].Items[0].Name; first != w.mark {
		t.Errorf("the exact match must be the first, which is %s", first)
	}
	for _, query := range []string{w.mark, canary, canaryBase64, w.hidden} {
		w.check(t, "the search for "+query,
			limited.get(t, onHost+"/search?q="+query+"&types=pods,secrets,services,namespaces").Want(t, wire.OK))
	}
	for _, value := range []string{canary, canaryBase64, "last-applied"} {
		if got, _ := read[dashboardv1alpha1.SearchResults](t, all, onHost+"/search?q="+value); got.Total != 0 {
			t.Errorf("a search for %s finds %+v", value, got)
		}
	}
}

func commaSeparatedNames(count int) string {
	out := make([]string, count)
	for i := range out {
		out[i] = fmt.Sprintf("n%d", i)
	}
	return strings.Join(out, ",")
}

func TestSearchReadsItsParameters(t *testing.T) {
	w := newWorld(t)
	limited, all := newViewer(t, "dev", w.mine), newViewer(t, "admin")
	got, _ := read[dashboardv1alpha1.SearchResults](t, all, onHost+"/search?limit=1&types=pods&q="+w.mark)
	if got.Total != 2 || len(got.Results) != 1 || got.Results[0].Total != 2 || len(got.Results[0].Items) != 1 {
		t.Errorf("one of two Pods: %+v", got)
	}
	got, _ = read[dashboardv1alpha1.SearchResults](t, all,
		onHost+"/search?kinds=services,nodes&namespace="+w.theirs+"&q="+w.mark)
	if got.Total != 1 || got.Results[0].Items[0].Namespace != w.theirs {
		t.Errorf("of one namespace: %+v", got)
	}
	got, meta := read[dashboardv1alpha1.SearchResults](t, all, onHost+"/search?kinds=pods,gadgets&q=APP")
	if got.Results == nil || len(meta.Warnings) != 1 {
		t.Errorf("a missing kind: %+v, %+v", got, meta)
	}
	for query, code := range map[string]int{
		"": wire.Required, "?q=": wire.Required, "?q=%20": wire.Required, "?q=a&limit=-1": wire.Invalid,
		"?q=a&limit=x":         wire.Invalid,
		"?q=a&namespace=A%2fB": wire.Invalid, "?q=a&types=..%2fx": wire.Invalid, "?q=a&limit=999999999": wire.OK,
		"?q=" + strings.Repeat("a", 254): wire.Invalid, "?q=a&kinds=" + commaSeparatedNames(41): wire.Invalid,
	} {
		all.get(t, onHost+"/search"+query).Want(t, code)
	}
	limited.get(t, onHost+"/search?q=a&namespace="+w.theirs).Want(t, wire.NamespaceForbidden)
	limited.get(t, onHost+"/search?q=a&namespace=none").Want(t, wire.NamespaceForbidden)
	limited.get(t, "/clusters/other/search?q=a").Want(t, wire.ClusterForbidden)
}

func TestSearchOfSeveralClusters(t *testing.T) {
	w := newWorld(t)
	limited := newViewer(t, "dev", w.mine)
	remote := set().RemoteCluster(t, "remote")
	set().Bind(t, "remote", fixture.Grant{Role: "dev", Subjects: fixture.KubeVisionUsers(limited.user), Cluster: remote,
		Unconnected: true})
	becomes(t, limited, "/search?q="+w.mark, func(got dashboardv1alpha1.SearchResults) error {
		if len(got.Clusters) != 2 {
			return fmt.Errorf("searched %+v", got.Clusters)
		}
		return nil
	})
	begun := time.Now()
	got, meta := read[dashboardv1alpha1.SearchResults](t, limited, "/search?q="+w.mark)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("a disconnected cluster delays the search to %s", took)
	}
	if got.Total != 3 || len(got.Results) != 3 || got.Results[0].Items[0].Cluster != host || !meta.Partial {
		t.Errorf("found %+v", got)
	}
	if got.Clusters[0].ID != host || got.Clusters[0].Total != 3 ||
		got.Clusters[0].Status != dashboardv1alpha1.AccessReachable ||
		got.Clusters[1].ID != remote || got.Clusters[1].Status != dashboardv1alpha1.AccessUnreachable ||
		got.Clusters[1].Total != 0 {
		t.Errorf("the clusters are %+v", got.Clusters)
	}
	got, _ = read[dashboardv1alpha1.SearchResults](t, limited, "/search?clusters="+host+"&q="+w.mark)
	if len(got.Clusters) != 1 || got.Total != 3 {
		t.Errorf("of one cluster: %+v", got)
	}
	limited.get(t, "/search?q=a&clusters="+host+",other").Want(t, wire.ClusterForbidden)
	limited.get(t, "/search?q=a&clusters=A%2fB").Want(t, wire.Invalid)
	limited.get(t, "/search?q=a&clusters="+commaSeparatedNames(101)).Want(t, wire.Invalid)
	limited.get(t, "/search").Want(t, wire.Required)
}

// TestSearchWaitsForNobody verifies a search in two clusters if one cluster does not respond. The response contains the
// results of the other cluster, and reports that one cluster is unreachable.
func TestSearchWaitsForNobody(t *testing.T) {
	w := newWorld(t)
	limited := newViewer(t, "dev", w.mine)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	config := env.Cluster.Config()
	text, err := localcluster.Kubeconfig(&rest.Config{
		Host: "https://" + silent.Addr().String(), BearerToken: "none",
		TLSClientConfig: rest.TLSClientConfig{CAData: config.CAData},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := fixture.Name("silent")
	set().Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
		StringData: map[string]string{"kubeconfig": string(text)},
	})
	set().Create(t, &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name}},
	})
	set().Bind(t, "silent", fixture.Grant{Role: "dev", Subjects: fixture.KubeVisionUsers(limited.user), Cluster: name,
		Unconnected: true})
	path := "/search?clusters=" + host + "," + name + "&q=" + w.mark
	var took time.Duration
	fixture.Eventually(t, "be allowed to use the cluster", func(ctx context.Context) error {
		begun := time.Now()
		err := limited.client.Answers(ctx, wire.OK, limited.asks(path))
		took = time.Since(begun)
		return err
	})
	if took > 15*time.Second {
		t.Errorf("a cluster that does not respond delays the search to %s", took)
	}
	got, _ := read[dashboardv1alpha1.SearchResults](t, limited, path)
	if got.Total != 3 || len(got.Clusters) != 2 || got.Clusters[1].ID != name ||
		got.Clusters[1].Status != dashboardv1alpha1.AccessUnreachable {
		t.Errorf("found %+v", got)
	}
}
