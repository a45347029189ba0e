// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

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
	"github.com/kubevision-io/kubevision/pkg/names"
)

func newNode(tb testing.TB, conditions ...corev1.NodeCondition) {
	tb.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: unique("node")}}
	create(tb, n)
	n.Status.Conditions = conditions
	if err := env.Client.Status().Update(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
}

func nodeReady(status corev1.ConditionStatus) corev1.NodeCondition {
	return corev1.NodeCondition{Type: corev1.NodeReady, Status: status}
}

func TestHostBecomesReady(t *testing.T) {
	guard(t)
	c := host(t)
	for conditionType, reason := range map[string]string{
		kubevisionv1alpha1.ClusterReachableCondition:     kubevisionv1alpha1.ReasonProbeSucceeded,
		kubevisionv1alpha1.ClusterCredentialsCondition:   kubevisionv1alpha1.ReasonAccepted,
		kubevisionv1alpha1.ClusterImpersonationCondition: kubevisionv1alpha1.ReasonImpersonatorApplied,
	} {
		awaitCondition(t, c, conditionType, metav1.ConditionTrue, reason)
	}
	kube, err := kubernetes.NewForConfig(env.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	version, err := kube.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if c.Status.Version != version.GitVersion || c.Status.APIServer != env.Cluster.Config().Host ||
		c.Status.LastProbeTime == nil {
		t.Errorf("the status is %+v, want version %s at %s", c.Status, version.GitVersion, env.Cluster.Config().Host)
	}
	if !slices.Contains(c.Finalizers, "kubevision.io/cluster") {
		t.Errorf("the finalizers are %v", c.Finalizers)
	}
}

func TestNodesAreCounted(t *testing.T) {
	guard(t)
	c := host(t)
	before := *read(t, c).Status.Nodes
	newNode(t, nodeReady(corev1.ConditionTrue))
	newNode(t, corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue},
		nodeReady(corev1.ConditionTrue))
	newNode(t, nodeReady(corev1.ConditionFalse))
	newNode(t, nodeReady(corev1.ConditionUnknown))
	newNode(t)
	touch(t, c)
	want := kubevisionv1alpha1.NodeCount{Total: before.Total + 5, Ready: before.Ready + 2}
	eventually(t, soon, "wait for the count of nodes", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if diff := cmp.Diff(&want, c.Status.Nodes); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestClusterOutOfReach(t *testing.T) {
	guard(t)
	c := kubeconfigCluster(t)
	create(t, c)
	awaitNotReady(t, c, kubevisionv1alpha1.ReasonProbeFailed)
	awaitCondition(t, c, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonProbeFailed)
	awaitCondition(t, c, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionUnknown,
		kubevisionv1alpha1.ReasonProbeFailed)
	awaitCondition(t, c, kubevisionv1alpha1.ClusterImpersonationCondition, metav1.ConditionUnknown,
		kubevisionv1alpha1.ReasonNotConnected)
	if c.Status.Version != "" || c.Status.Nodes != nil {
		t.Errorf("the status is %+v for a cluster that was not probed", c.Status)
	}
	if want := "https://member.example:6443"; c.Status.APIServer != want {
		t.Errorf("the address is %q, want %q", c.Status.APIServer, want)
	}
}

// TestRefusedKubeconfigs verifies that rejected kubeconfigs are reported in the status, field by field and without a
// value, and are not used.
func TestRefusedKubeconfigs(t *testing.T) {
	guard(t)
	marker := filepath.Join(t.TempDir(), "marker")
	source := newSource(t, memberKubeconfig(", exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, "+
		"args: ["+marker+"]}"))
	c := registered(source.Name)
	create(t, c)
	refused := func(want string) {
		t.Helper()
		awaitNotReady(t, c, kubevisionv1alpha1.ReasonSecretInvalid)
		found := awaitCondition(t, c, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse,
			kubevisionv1alpha1.ReasonSecretInvalid)
		if !strings.Contains(found.Message, want) || strings.Contains(found.Message, "canary") {
			t.Errorf("the message is %q, want only the name %s", found.Message, want)
		}
	}
	refused("users[0].user.exec")
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the program was run: %v", err)
	}
	replace := func(text string) {
		change(t, source, func(s *corev1.Secret) { s.Data = map[string][]byte{names.PasswordKey: []byte(text)} })
	}
	replace(memberKubeconfig(""))
	awaitNotReady(t, c, kubevisionv1alpha1.ReasonProbeFailed)
	replace(memberKubeconfig(", tokenFile: /etc/passwd"))
	refused("users[0].user.tokenFile")
	remove(t, source)
	awaitNotReady(t, c, kubevisionv1alpha1.ReasonSecretNotFound)
}
