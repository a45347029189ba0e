// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// answerTime bounds the time of a response to a request for an unreachable cluster.
const answerTime = 2 * time.Second

const aggregationPatience = 2 * time.Minute

// TestMemberStops verifies that a stopped member is reported immediately, does not affect other clusters, and recovers
// without intervention.
func TestMemberStops(t *testing.T) {
	member := theOther(t)
	set().HostCluster(t, "host")
	c := register(t, member.Config(), nil)
	ready(t, c)
	p := login(t, "outage")
	set().Bind(t, "outage", fixture.Grant{Role: kubevisionv1alpha1.RoleReadonly,
		Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name})
	set().Bind(t, "outage-host", fixture.Grant{Role: kubevisionv1alpha1.RoleReadonly,
		Subjects: fixture.KubeVisionUsers(p.User), Cluster: "host"})
	p.becomes(t, repairTime, c.Name, "/resources/pods", wire.OK)
	gone := set().Bind(t, "outage-gone",
		fixture.Grant{Role: kubevisionv1alpha1.RoleDev, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name})

	if err := member.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	restarted := false
	restart := func() {
		if !restarted {
			restarted = true
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			if err := member.APIServer().Start(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer restart()
	for range 5 {
		begun := time.Now()
		if code := p.code(t, c.Name, "/resources/pods"); code != wire.Unreachable {
			t.Errorf("code %d for an unreachable member, want %d", code, wire.Unreachable)
		}
		if took := time.Since(begun); took > answerTime {
			t.Errorf("the answer took %s, want at most %s", took, answerTime)
		}
		if code := p.code(t, "host", "/resources/pods"); code != wire.OK {
			t.Errorf("code %d of the host", code)
		}
	}
	condition(t, c, noticed, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonProbeFailed)
	condition(t, c, noticed, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonProbeFailed)
	// A revocation during the outage does not wait for the member. It takes effect when the member responds again.
	set().Delete(t, gone)
	set().Gone(t, gone)

	restart()
	p.becomes(t, noticed, c.Name, "/resources/pods", wire.OK)
	condition(t, c, noticed, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	fixture.Eventually(t, "wait for the revocation", func(ctx context.Context) error {
		left := &rbacv1.ClusterRoleBinding{}
		err := member.admin.Get(ctx, client.ObjectKey{Name: "kubevision:binding:" + gone.Name}, left)
		if err == nil {
			return fmt.Errorf("%s is there", left.Name)
		}
		return client.IgnoreNotFound(err)
	})
}

func TestMemberRemoved(t *testing.T) {
	member := theOther(t)
	awaitAggregation(t, member)
	c := register(t, member.Config(), nil)
	ready(t, c)
	p := login(t, "removed")
	ns := member.set().Namespace(t, "removed")
	set().Bind(t, "removed", fixture.Grant{
		Role: kubevisionv1alpha1.RoleDev, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Namespaces: []string{ns},
	})
	unregister(t, c)
	nothingLeft(t, member)
	if code := p.code(t, c.Name, "/resources/pods"); code != wire.ClusterForbidden {
		t.Errorf("code %d for a removed cluster", code)
	}
}

// awaitAggregation waits until kube-controller-manager of a cluster aggregates ClusterRoles. After an outage in another
// test, kube-controller-manager may need a minute to watch ClusterRoles again.
func awaitAggregation(t *testing.T, member *plane) {
	t.Helper()
	name := fixture.Name("aggregated")
	labels := map[string]string{name: "true"}
	member.set().Create(t, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-part", Labels: labels},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
	})
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		AggregationRule: &rbacv1.AggregationRule{
			ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: labels}},
		},
	}
	member.set().Create(t, role)
	aggregated := func(ctx context.Context) error {
		err := member.admin.Get(ctx, client.ObjectKeyFromObject(role), role)
		if err == nil && len(role.Rules) == 0 {
			err = errors.New("the role has no rules")
		}
		return err
	}
	err := localcluster.Poll(t.Context(), aggregationPatience, "wait for the rules of a role", aggregated)
	if err != nil {
		t.Fatal(err)
	}
}

func nothingLeft(t *testing.T, member *plane) {
	t.Helper()
	if err := localcluster.Poll(t.Context(), collection, "wait for everything to be removed",
		func(ctx context.Context) error {
			left, err := managedObjectNames(ctx, member)
			if err != nil {
				return err
			}
			if len(left) > 0 {
				return fmt.Errorf("left: %v", left)
			}
			return nil
		}); err != nil {
		t.Fatal(err)
	}
}

// TestMemberAbandoned verifies that the registration of a permanently unreachable cluster can be deleted.
func TestMemberAbandoned(t *testing.T) {
	member := theOther(t)
	config := member.Config()
	c := register(t, config, nil)
	ready(t, c)
	// From now on, the kubeconfig contains the address of no server.
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: fixture.SystemNamespace, Name: c.Name},
		secret); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(secret.Data["kubeconfig"]), config.Host, "https://127.0.0.1:1", 1)
	secret.Data["kubeconfig"] = []byte(text)
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse, "")
	if err := env.Client.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonCleanupFailed)
	patch := client.MergeFrom(c.DeepCopy())
	c.Annotations = map[string]string{"kubevision.io/abandon": ""}
	if err := env.Client.Patch(t.Context(), c, patch); err != nil {
		t.Fatal(err)
	}
	set().Gone(t, c)
	fixture.Eventually(t, "wait for the event", func(ctx context.Context) error {
		var all eventsv1.EventList
		if err := env.Client.List(ctx, &all); err != nil {
			return fmt.Errorf("listing events: %w", err)
		}
		for i := range all.Items {
			if e := &all.Items[i]; e.Regarding.Name == c.Name && e.Reason == kubevisionv1alpha1.ReasonLeftBehind {
				return nil
			}
		}
		return fmt.Errorf("no event reports the objects left on %s", c.Name)
	})
	// The cluster is cleaned up after another registration.
	again := register(t, config, nil)
	ready(t, again)
	unregister(t, again)
	nothingLeft(t, member)
}
