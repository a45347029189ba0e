// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// registered is a client.Reader that returns the same KubeVisionCluster for every name.
type registered struct {
	client.Reader

	cluster *kubevisionv1alpha1.KubeVisionCluster
}

func (r registered) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	into, ok := o.(*kubevisionv1alpha1.KubeVisionCluster)
	if !ok {
		return errors.New("no cluster")
	}
	r.cluster.DeepCopyInto(into)
	return nil
}

// TestClustersWithoutConnection verifies that Connections.Get returns ErrNotConnected for a KubeVisionCluster that must
// not be used or has no kubeconfig. Get must fail before it reads the Secret with the kubeconfig.
func TestClustersWithoutConnection(t *testing.T) {
	condition := func(kind, reason string) kubevisionv1alpha1.KubeVisionClusterStatus {
		return kubevisionv1alpha1.KubeVisionClusterStatus{Conditions: []metav1.Condition{{Type: kind,
			Status: metav1.ConditionFalse, Reason: reason}}}
	}
	withKubeconfig := kubevisionv1alpha1.KubeVisionClusterSpec{
		KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: "x"}}
	for name, cluster := range map[string]*kubevisionv1alpha1.KubeVisionCluster{
		"removed": {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(metav1.Now())}, Spec: withKubeconfig},
		"in conflict": {Spec: withKubeconfig,
			Status: condition(kubevisionv1alpha1.ReadyCondition, kubevisionv1alpha1.ReasonIdentityConflict)},
		"over limit": {Spec: withKubeconfig,
			Status: condition(kubevisionv1alpha1.ClusterReachableCondition, kubevisionv1alpha1.ReasonLimitExceeded)},
		"no kubeconfig": {},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Connections{reader: registered{cluster: cluster}}
			if _, err := c.Get(t.Context(), "x"); !errors.Is(err, ErrNotConnected) {
				t.Errorf("%v, want %v", err, ErrNotConnected)
			}
		})
	}
}
