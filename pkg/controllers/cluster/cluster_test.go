// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

const (
	hostName = "local"
	// canary is a part of each credential in the tests. If the log contains canary, a credential has leaked.
	canary = "canary"
)

var shared controlplane.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// start starts the controllers, and registers the test cluster. At the end of the test, start verifies that the
// controllers have logged no credential.
func start(t *testing.T) (fixture.Set, *kubevisionv1alpha1.KubeVisionCluster) {
	t.Helper()
	s := fixture.Set{Client: shared.Controllers(t)}
	shared.Guard(t, canary)
	s.HostCluster(t, hostName)
	c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: hostName}}
	shared.AwaitReady(t, c)
	return s, c
}

// secretData returns the data of a Secret with a kubeconfig for an unreachable cluster. userFields contains additional
// YAML fields for the user in the kubeconfig, for example ", tokenFile: /etc/passwd".
func secretData(userFields string) map[string][]byte {
	return map[string][]byte{clusters.KubeconfigKey: []byte(`{current-context: x, contexts: [{name: x, context:
{cluster: c, user: u}}], clusters: [{name: c, cluster: {server: "https://member.example:6443"}}],
users: [{name: u, user: {token: s3cr3t-` + canary + userFields + `}}]}`)}
}

func newMember(
	t *testing.T, s fixture.Set, data map[string][]byte,
) (*kubevisionv1alpha1.KubeVisionCluster, *corev1.Secret) {
	t.Helper()
	source := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: fixture.Name("member")}, Data: data,
	}
	s.Create(t, source)
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: source.Name},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: source.Name},
		},
	}
	s.Create(t, c)
	return c, source
}

func newNode(t *testing.T, s fixture.Set, conditions ...corev1.NodeCondition) {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("node")}}
	s.Create(t, n)
	n.Status.Conditions = conditions
	if err := s.Client.Status().Update(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func nodeReady(status corev1.ConditionStatus) corev1.NodeCondition {
	return corev1.NodeCondition{Type: corev1.NodeReady, Status: status}
}

func TestHostBecomesReady(t *testing.T) {
	_, c := start(t)
	config := shared.Cluster(t).Config()
	for conditionType, reason := range map[string]string{
		kubevisionv1alpha1.ClusterReachableCondition:     kubevisionv1alpha1.ReasonProbeSucceeded,
		kubevisionv1alpha1.ClusterCredentialsCondition:   kubevisionv1alpha1.ReasonAccepted,
		kubevisionv1alpha1.ClusterImpersonationCondition: kubevisionv1alpha1.ReasonImpersonatorApplied,
	} {
		shared.AwaitCondition(t, c, conditionType, metav1.ConditionTrue, reason)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	version, err := kube.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if c.Status.Version != version.GitVersion || c.Status.APIServer != config.Host ||
		c.Status.LastProbeTime == nil {
		t.Errorf("the status is %+v, want version %s at %s", c.Status, version.GitVersion, config.Host)
	}
	if !slices.Contains(c.Finalizers, "kubevision.io/cluster") {
		t.Errorf("the finalizers are %v", c.Finalizers)
	}
}

func TestNodesAreCounted(t *testing.T) {
	s, c := start(t)
	before := *c.Status.Nodes
	newNode(t, s, nodeReady(corev1.ConditionTrue))
	newNode(t, s, corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue},
		nodeReady(corev1.ConditionTrue))
	newNode(t, s, nodeReady(corev1.ConditionFalse))
	newNode(t, s, nodeReady(corev1.ConditionUnknown))
	newNode(t, s)
	controlplane.Change(t, s.Client, c, func(c *kubevisionv1alpha1.KubeVisionCluster) {
		c.Spec.DisplayName = fixture.Name("host") // a change of the spec triggers a probe
	})
	want := kubevisionv1alpha1.NodeCount{Total: before.Total + 5, Ready: before.Ready + 2}
	fixture.Eventually(t, "wait for the count of nodes", func(ctx context.Context) error {
		if err := s.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if diff := cmp.Diff(&want, c.Status.Nodes); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestClusterOutOfReach(t *testing.T) {
	s, _ := start(t)
	c, _ := newMember(t, s, secretData(""))
	shared.AwaitNotReady(t, c, kubevisionv1alpha1.ReasonProbeFailed)
	shared.AwaitCondition(t, c, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonProbeFailed)
	shared.AwaitCondition(t, c, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionUnknown,
		kubevisionv1alpha1.ReasonProbeFailed)
	shared.AwaitCondition(t, c, kubevisionv1alpha1.ClusterImpersonationCondition, metav1.ConditionUnknown,
		kubevisionv1alpha1.ReasonNotConnected)
	if c.Status.Version != "" || c.Status.Nodes != nil {
		t.Errorf("the status is %+v for a cluster that was not probed", c.Status)
	}
	if want := "https://member.example:6443"; c.Status.APIServer != want {
		t.Errorf("the address is %q, want %q", c.Status.APIServer, want)
	}
}

// TestRefusedKubeconfigs verifies that rejected kubeconfigs are not used, and that the status names each rejected field
// without its value.
func TestRefusedKubeconfigs(t *testing.T) {
	s, _ := start(t)
	marker := filepath.Join(t.TempDir(), "marker")
	c, source := newMember(t, s, secretData(", exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, "+
		"args: ["+marker+"]}"))
	refused := func(want string) {
		t.Helper()
		shared.AwaitNotReady(t, c, kubevisionv1alpha1.ReasonSecretInvalid)
		found := shared.AwaitCondition(t, c, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse,
			kubevisionv1alpha1.ReasonSecretInvalid)
		if !strings.Contains(found.Message, want) || strings.Contains(found.Message, canary) {
			t.Errorf("the message is %q, want only the name %s", found.Message, want)
		}
	}
	refused("users[0].user.exec")
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the program was run: %v", err)
	}
	replace := func(data map[string][]byte) {
		controlplane.Change(t, s.Client, source, func(s *corev1.Secret) { s.Data = data })
	}
	replace(secretData(""))
	shared.AwaitNotReady(t, c, kubevisionv1alpha1.ReasonProbeFailed)
	replace(secretData(", tokenFile: /etc/passwd"))
	refused("users[0].user.tokenFile")
	s.Delete(t, source)
	shared.AwaitNotReady(t, c, kubevisionv1alpha1.ReasonSecretNotFound)
}
