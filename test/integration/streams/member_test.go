// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestMember verifies that a watch and a terminal can be opened on another cluster, and that both end with a reason
// when the cluster is no longer registered.
func TestMember(t *testing.T) {
	cluster, err := env.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(cluster.Config(), client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	pod := podOnNode(t, cluster, admin)
	text, err := localcluster.Kubeconfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	name := fixture.Name("member")
	set().Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
		StringData: map[string]string{"kubeconfig": string(text)},
	})
	registered := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name},
		},
	}
	if err := env.Client.Create(t.Context(), registered); err != nil {
		t.Fatal(err)
	}
	p := newPerson(t, "member")
	set().Bind(t, "member", fixture.Grant{
		Role: "admin", Subjects: fixture.KubeVisionUsers(p.User), Cluster: name, Namespaces: []string{"default"},
	})
	fixture.Eventually(t, "the right of the user", func(ctx context.Context) error {
		return p.client.Answers(ctx, 0, p.get("/clusters/"+name+"/namespaces/default/resources/pods"))
	})
	w := p.watch(t)
	topic := name + ":pods:default"
	w.subscribe(t, fields{"initial": true}, topic)
	terminal := open(t, p.client, wire.Request{
		Path:   p.base + "/clusters/" + name + "/namespaces/default/pods/" + pod + "/exec?command=sh",
		Bearer: p.AccessToken,
	})
	terminal.send(t, typed{Type: "input", Data: "echo is $((40+2))\n"})
	readUntil(t, terminal, func(f frame) bool { return strings.Contains(f.Data, "is 42") })
	second := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "second"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}
	if err := admin.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	w.until(t, "ADDED", "second")
	if err := env.Client.Delete(t.Context(), registered); err != nil {
		t.Fatal(err)
	}
	for {
		e := w.next(t)
		if e.Type == "ERROR" {
			if e.Topic != topic || (e.Reason != "cluster-gone" && e.Reason != "forbidden") {
				t.Errorf("the end is %+v", e)
			}
			break
		}
	}
	switch _, reason := terminal.awaitEnd(t, 10*time.Second); reason {
	case "cluster-gone", "forbidden", "failed": // the first reason that the server detects
	default:
		t.Errorf("the reason is %q", reason)
	}
	w.isAlive(t) // other topics of the socket are not affected
	set().Gone(t, registered)
}

func podOnNode(tb testing.TB, cluster *localcluster.Cluster, admin client.Client) (name string) {
	tb.Helper()
	port, err := cluster.StartKubelet(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	if err := admin.Create(tb.Context(), node); err != nil {
		tb.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port) //nolint:gosec // a port
	if err := admin.Status().Update(tb.Context(), node); err != nil {
		tb.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.PodSpec{
			NodeName: nodeName, AutomountServiceAccountToken: new(bool),
			Containers: []corev1.Container{{Name: "main", Image: "none"}},
		},
	}
	if err := admin.Create(tb.Context(), pod); err != nil {
		tb.Fatal(err)
	}
	pod.Status.Phase = corev1.PodRunning
	if err := admin.Status().Update(tb.Context(), pod); err != nil {
		tb.Fatal(err)
	}
	return pod.Name
}
