// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package views_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func TestTopology(t *testing.T) {
	w := newWorld(t)
	limited := newViewer(t, "dev", w.mine)
	labelled := &corev1.Pod{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: w.mine, Name: w.mark}, labelled); err != nil {
		t.Fatal(err)
	}
	labelled.Labels = map[string]string{"app": w.mark}
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: w.mine, Name: w.mark}, secret); err != nil {
		t.Fatal(err)
	}
	// The caller may not read the owner, so the response must not contain its name.
	labelled.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: secret.Name,
		UID: secret.UID}}
	if err := env.Client.Update(t.Context(), labelled); err != nil {
		t.Fatal(err)
	}
	create(t, object(appsVersion.WithKind("Deployment"), w.mine, "web", map[string]any{"spec": map[string]any{
		"replicas": int64(1), "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
		"template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": "web"}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "main", "image": "none"}}},
		},
	}}))
	set().Create(t, &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.mine, Name: "door"},
		Spec: networkingv1.IngressSpec{DefaultBackend: &networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: w.mark,
				Port: networkingv1.ServiceBackendPort{Number: 80}},
		}},
	})
	path := onHost + "/namespaces/" + w.mine + "/topology"
	becomes(t, limited, path, func(got dashboardv1alpha1.Topology) error {
		var edges []string
		for _, e := range got.Edges {
			edges = append(edges, kindOf(e.Source)+" "+e.Relation+" "+kindOf(e.Target))
		}
		want := []string{"deployments owns replicasets", "ingresses selects services", "replicasets owns pods",
			"services selects pods"}
		slices.Sort(edges)
		if !slices.Equal(edges, want) || len(got.Nodes) != 6 {
			return fmt.Errorf("edges %v between %+v", edges, got.Nodes)
		}
		return nil
	})
	w.check(t, "the topology", limited.get(t, path).Want(t, wire.OK))
	got, _ := read[dashboardv1alpha1.Topology](t, limited, path)
	for _, n := range got.Nodes {
		if n.ID != n.Kind+"/"+n.Name || n.Namespace != w.mine || (n.Kind == "deployments" && n.Status != "0/1") ||
			(n.Kind == "pods" && n.Status != "Pending") {
			t.Errorf("a node is %+v", n)
		}
	}
	limited.get(t, onHost+"/namespaces/"+w.theirs+"/topology").Want(t, wire.NamespaceForbidden)
	limited.get(t, onHost+"/namespaces/none/topology").Want(t, wire.NamespaceForbidden)
	limited.get(t, onHost+"/namespaces/A/topology").Want(t, wire.Invalid)
}

func kindOf(id string) string {
	kind, _, _ := strings.Cut(id, "/")
	return kind
}

func TestQuotaSummary(t *testing.T) {
	w := newWorld(t)
	for namespace, name := range map[string]string{w.mine: "mine", w.theirs: w.hidden} {
		set().Create(t, &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": quantity("5")}},
		})
	}
	limited, all := newViewer(t, "dev", w.mine), newViewer(t, "readonly")
	w.check(t, "the quotas", limited.get(t, onHost+"/quota-summary"))
	got, meta := read[dashboardv1alpha1.QuotaSummary](t, limited, onHost+"/quota-summary")
	if len(got.Namespaces) != 1 || got.Namespaces[0].Namespace != w.mine ||
		got.Namespaces[0].Quotas[0].Hard["pods"] != "5" || got.Namespaces[0].Quotas[0].Used == nil {
		t.Errorf("the limited user sees %+v", got)
	}
	if !meta.Partial || meta.Total == nil || *meta.Total != 1 {
		t.Errorf("meta is %+v", meta)
	}
	got, _ = read[dashboardv1alpha1.QuotaSummary](t, all, onHost+"/quota-summary?namespace="+w.theirs)
	if len(got.Namespaces) != 1 || got.Namespaces[0].Quotas[0].Name != w.hidden {
		t.Errorf("of one namespace: %+v", got)
	}
	limited.get(t, onHost+"/quota-summary?namespace="+w.theirs).Want(t, wire.NamespaceForbidden)
}

func TestCompare(t *testing.T) {
	w := newWorld(t)
	limited, all := newViewer(t, "dev", w.mine), newViewer(t, "admin")
	ref := func(namespace, resource, name string) string {
		return fmt.Sprintf(`{"cluster":%q,"namespace":%q,"resource":%q,"name":%q}`, host, namespace, resource, name)
	}
	ours, theirs := ref(w.mine, "secrets", w.mark), ref(w.theirs, "secrets", w.mark+"-"+w.hidden)
	for _, names := range [][2]string{{"source", "target"}, {"left", "right"}} {
		e := all.post(t, "/compare", `{"`+names[0]+`":`+ours+`,"`+names[1]+`":`+theirs+`}`).Want(t, wire.OK)
		var got dashboardv1alpha1.Comparison
		e.Into(t, &got)
		if !strings.Contains(got.SourceYaml, "name: "+w.mark) || !strings.Contains(got.TargetYaml, w.hidden) ||
			got.LeftYaml != got.SourceYaml ||
			got.RightYaml != got.TargetYaml || got.Source.Name != w.mark || got.Right != got.Target ||
			got.Left != got.Source || !strings.Contains(got.SourceYaml, "kind: Secret") {
			t.Errorf("got %+v", got)
		}
		if want := host + "/" + w.mine + "/secrets/" + w.mark; got.SourceRef != want || got.LeftRef != want ||
			got.TargetRef != host+"/"+w.theirs+"/secrets/"+w.mark+"-"+w.hidden || got.RightRef != got.TargetRef {
			t.Errorf("the references are %s and %s", got.SourceRef, got.TargetRef)
		}
		for _, noise := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields",
			canary, canaryBase64} {
			if strings.Contains(string(e.Raw), noise) {
				t.Errorf("%s is in %s", noise, e.Raw)
			}
		}
	}
	apart := all.post(t, "/compare", `{"source":`+ours+`,"target":`+theirs+`}`).Want(t, wire.OK)
	differing := set().Namespace(t, "differing")
	set().Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: differing, Name: w.mark},
		StringData: map[string]string{"p": canary + "!"},
	})
	other := all.post(t, "/compare", `{"source":`+ours+`,"target":`+ref(differing, "secrets", w.mark)+`}`).Want(t,
		wire.OK)
	for e, want := range map[*wire.Envelope]string{&apart: "  p: KioqKioq\n",
		&other: "  p: KioqKioqIChkaWZmZXJzKQ==\n"} {
		var got dashboardv1alpha1.Comparison
		e.Into(t, &got)
		if !strings.Contains(got.SourceYaml, "  p: KioqKioq\n") || !strings.Contains(got.TargetYaml, want) {
			t.Errorf("want %q in\n%s\nbeside\n%s", want, got.TargetYaml, got.SourceYaml)
		}
		w.check(t, "the comparison of Secrets",
			wire.Envelope{Raw: []byte(strings.ReplaceAll(string(e.Raw), w.hidden, ""))})
	}
	w.check(t, "the comparison", limited.post(t, "/compare", `{"source":`+ours+`,"target":`+ours+`}`).Want(t, wire.OK))
	limited.post(t, "/compare", `{"source":`+ours+`,"target":`+theirs+`}`).Want(t, wire.NamespaceForbidden)
	for body, code := range map[string]int{
		`{"source":` + ours + `}`: wire.Required,
		`{"source":` + ours + `,"left":` + ours + `,"target":` + ours +
			`}`: wire.Invalid,
		`{"source":` + ours + `,"target":{"cluster":"host","resource":"pods"}}`: wire.Required,
		`{"source":` + ours + `,"target":` + ref("", "pods", "x") +
			`}`: wire.Invalid,
		`{"source":` + ours + `,"target":` + ref(w.mine, "pods", "../x") +
			`}`: wire.Invalid,
		`{"source":` + ours + `,"target":` + ref(w.mine, "pods", "none") +
			`}`: wire.NotFound,
		`{"source":` + ours +
			`,"target":{"cluster":"other","resource":"pods","namespace":"x","name":"x"}}`: wire.ClusterForbidden,
		`{"source":` + ours +
			`,"target":{"cluster":"host","resource":"pods","kind":"x"}}`: wire.Invalid,
	} {
		if e := limited.post(t, "/compare", body); e.Code != code {
			t.Errorf("%s: code %d, want %d", body, e.Code, code)
		}
	}
}

func TestWhatIsServed(t *testing.T) {
	limited, all := newViewer(t, "dev", set().Namespace(t, "mine")), newViewer(t, "admin")
	group := fixture.Name("group") + ".example.test"
	serve(t, group, "gadgets", "Gadget")
	fixture.Eventually(t, "wait for the kind", gadgetsAreServed(all, group))
	resources, meta := read[[]dashboardv1alpha1.APIResource](t, limited, onHost+"/api-resources")
	if meta.Total == nil || *meta.Total != int64(len(resources)) {
		t.Errorf("the total is %v", meta.Total)
	}
	at := slices.IndexFunc(resources, func(r dashboardv1alpha1.APIResource) bool { return r.Name == "deployments" })
	if at < 0 || resources[at].APIVersion != "apps/v1" || !slices.Contains(resources[at].Subresources, "scale") ||
		!slices.Contains(resources[at].Verbs, "list") {
		t.Errorf("unexpected Deployments: %+v", resources)
	}
	limited.get(t, onHost+"/crds").Want(t, wire.Forbidden)
	limited.post(t, onHost+"/crds/refresh", "").Want(t, wire.Forbidden)
}
