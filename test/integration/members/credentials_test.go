// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

func replaceKubeconfig(tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster, config *rest.Config) {
	tb.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	secret := &corev1.Secret{}
	if err := env.Client.Get(tb.Context(),
		client.ObjectKey{Namespace: fixture.SystemNamespace, Name: c.Spec.KubeconfigSecretRef.Name},
		secret); err != nil {
		tb.Fatal(err)
	}
	secret.Data["kubeconfig"] = text
	if err := env.Client.Update(tb.Context(), secret); err != nil {
		tb.Fatal(err)
	}
}

// TestOtherCluster verifies that the kubeconfig of a registered cluster cannot be replaced with the kubeconfig of
// another cluster. Otherwise, KubeVision would never remove its objects from the first cluster.
func TestOtherCluster(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	id := c.Status.ClusterID
	replaceKubeconfig(t, c, env.Cluster.Config())
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonClusterChanged)
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonClusterChanged)
	if c.Status.ClusterID != id {
		t.Errorf("the cluster was %s and is %s", id, c.Status.ClusterID)
	}
	replaceKubeconfig(t, c, member.Config())
	ready(t, c)
	if c.Status.ClusterID != id {
		t.Errorf("the cluster was %s and is %s again", id, c.Status.ClusterID)
	}
}

// TestCredentialEndsSoon verifies how KubeVision warns of a cluster credential that expires soon:
//   - Only one Event is emitted.
//   - The cluster remains ready.
//   - The condition CredentialsValid has the reason ExpiresSoon until the credential is replaced.
func TestCredentialEndsSoon(t *testing.T) {
	member := theOther(t)
	config := member.AnonymousConfig()
	config.BearerToken = member.token(t)
	c := register(t, config, nil)
	condition(t, c, collection, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonExpiresSoon)
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonReady)
	if ends := c.Status.CredentialsExpirationTime; ends == nil || time.Until(ends.Time) > 2*time.Hour ||
		time.Until(ends.Time) < 0 {
		t.Errorf("the expiry of the token in the status is %v", ends)
	}
	warnings := func(ctx context.Context) error {
		var all eventsv1.EventList
		if err := env.Client.List(ctx, &all); err != nil {
			return fmt.Errorf("listing events: %w", err)
		}
		count := 0
		for i := range all.Items {
			if e := &all.Items[i]; e.Regarding.UID == c.UID && e.Reason == kubevisionv1alpha1.ReasonExpiresSoon {
				count++
				if e.Series != nil {
					count += int(e.Series.Count)
				}
			}
		}
		if count != 1 {
			return fmt.Errorf("it was warned of %d times", count)
		}
		return nil
	}
	fixture.Eventually(t, "wait for the warning", warnings)
	before := c.Status.LastProbeTime.DeepCopy()
	c.Spec.DisplayName = "another look"
	if err := env.Client.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "wait for another probe", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return fmt.Errorf("reading the cluster: %w", err)
		}
		if c.Status.ObservedGeneration != c.Generation || c.Status.LastProbeTime.Before(before) {
			return errors.New("not yet")
		}
		return nil
	})
	if err := warnings(t.Context()); err != nil {
		t.Error(err)
	}
	replaceKubeconfig(t, c, member.Config())
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonAccepted)
}
