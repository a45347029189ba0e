// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	systemPath = "/api/v1/namespaces/kube-system"
	grantName  = "kubevision:binding:"
)

func identityOf(t *testing.T, c client.Client) string {
	t.Helper()
	ns := &corev1.Namespace{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, ns); err != nil {
		t.Fatal(err)
	}
	return string(ns.UID)
}

func theHost() *plane { return &plane{Cluster: env.Cluster, admin: env.Client} }

func registerAs(
	t *testing.T, name string, config *rest.Config, clusterLabels map[string]string,
) *kubevisionv1alpha1.KubeVisionCluster {
	t.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: fixture.Name("kubeconfig")},
		Data:       map[string][]byte{"kubeconfig": text},
	}
	set().Create(t, secret)
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: clusterLabels},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: secret.Name}},
	}
	if err := env.Client.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unregister(t, c) })
	return c
}

// disputed waits until the newer registration is rejected with the reason IdentityConflict. The older registration must
// remain Ready. Each registration must have an event and a condition. The condition must name the other registration.
func disputed(t *testing.T, newer, older *kubevisionv1alpha1.KubeVisionCluster) {
	t.Helper()
	const reason = kubevisionv1alpha1.ReasonIdentityConflict
	for _, name := range []string{kubevisionv1alpha1.ReadyCondition,
		kubevisionv1alpha1.ClusterIdentityConflictCondition} {
		status := metav1.ConditionFalse
		if name != kubevisionv1alpha1.ReadyCondition {
			status = metav1.ConditionTrue
		}
		condition(t, newer, fixture.Patience, name, status, reason)
	}
	condition(t, older, fixture.Patience, kubevisionv1alpha1.ClusterIdentityConflictCondition,
		metav1.ConditionTrue, reason)
	condition(t, older, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	for one, other := range map[*kubevisionv1alpha1.KubeVisionCluster]*kubevisionv1alpha1.KubeVisionCluster{
		newer: older, older: newer} {
		found := meta.FindStatusCondition(one.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition)
		if !strings.Contains(found.Message, other.Name) {
			t.Errorf("the condition of %s does not name %s: %s", one.Name, other.Name, found.Message)
		}
		eventOf(t, one, reason)
	}
}

func eventOf(t *testing.T, c *kubevisionv1alpha1.KubeVisionCluster, reason string) {
	t.Helper()
	fixture.Eventually(t, "wait for event "+reason+" of "+c.Name, func(ctx context.Context) error {
		var all eventsv1.EventList
		if err := env.Client.List(ctx, &all); err != nil {
			return fmt.Errorf("listing events: %w", err)
		}
		for i := range all.Items {
			if e := &all.Items[i]; e.Regarding.UID == c.UID && e.Reason == reason {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

// undisputed waits until a registration has no conflict.
func undisputed(t *testing.T, c *kubevisionv1alpha1.KubeVisionCluster) {
	t.Helper()
	fixture.Eventually(t, "wait for the end of the conflict of "+c.Name, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return fmt.Errorf("reading the cluster: %w", err)
		}
		if meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition) != nil {
			return errors.New("it has the condition")
		}
		return nil
	})
}

func bindSelected(
	t *testing.T, role string, clusterLabels map[string]string, p *person,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	t.Helper()
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("selected")},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: fixture.KubeVisionUsers(p.User), RoleRef: kubevisionv1alpha1.RoleReference{Name: role},
			Clusters: kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{MatchLabels: clusterLabels}},
		},
	}
	set().Create(t, b)
	return b
}

func (p *plane) isGranted(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) (bool, error) {
	err := p.admin.Get(ctx, client.ObjectKey{Name: grantName + b.Name}, &rbacv1.ClusterRoleBinding{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func (p *plane) granted(t *testing.T, b *kubevisionv1alpha1.KubeVisionRoleBinding, want bool) {
	t.Helper()
	fixture.Eventually(t, fmt.Sprintf("wait until the grant of %s is there: %t", b.Name,
		want), func(ctx context.Context) error {
		if got, err := p.isGranted(ctx, b); err != nil || got != want {
			return fmt.Errorf("it exists: %t (%w)", got, err)
		}
		return nil
	})
}

// TestHostIsNotClaimed verifies that a false API server cannot claim the identity of the cluster on which KubeVision
// runs. A role binding that selects the registration of the false API server must grant no rights.
func TestHostIsNotClaimed(t *testing.T) {
	set().HostCluster(t, "host")
	host := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "host"}}
	sandbox := map[string]string{"environment": fixture.Name("sandbox")}
	p := login(t, "registrar")
	b := bindSelected(t, kubevisionv1alpha1.RoleAdmin, sandbox, p)
	falsified := newImpostor(t, theOther(t), identityOf(t, env.Client))
	c := register(t, falsified.config(), sandbox)
	disputed(t, c, host)
	if c.Status.ClusterID != "" {
		t.Errorf("the status contains the identity %s", c.Status.ClusterID)
	}
	fixture.Eventually(t, "wait until the binding has seen the registration", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(b), b); err != nil {
			return fmt.Errorf("reading the binding: %w", err)
		}
		if len(b.Status.Clusters) != 1 || b.Status.Clusters[0].Reason != kubevisionv1alpha1.ReasonNotConnected {
			return fmt.Errorf("its clusters are %+v", b.Status.Clusters)
		}
		return nil
	})
	for name, where := range map[string]*plane{"the host": theHost(),
		"the cluster behind the false server": theOther(t)} {
		if got, err := where.isGranted(t.Context(), b); err != nil || got {
			t.Errorf("there is a grant on %s: %t (%v)", name, got, err)
		}
	}
	if code := p.code(t, c.Name, "/resources/pods"); code != wire.Unreachable {
		t.Errorf("code %d of the registration", code)
	}
	if got := falsified.written(); len(got) > 0 {
		t.Errorf("the false server was sent %v", got)
	}
	// A registration of the host with its kubeconfig does not become the valid registration of the host, either.
	again := register(t, env.Cluster.Config(), sandbox)
	disputed(t, again, host)
	unregister(t, c)
	unregister(t, again)
	undisputed(t, host)
}

// TestHostIsRegisteredOnce verifies that only one registration with inCluster is accepted. A role binding that selects
// a second registration must grant no rights.
func TestHostIsRegisteredOnce(t *testing.T) {
	set().HostCluster(t, "host")
	host := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "host"}}
	sandbox := map[string]string{"environment": fixture.Name("sandbox")}
	p := login(t, "registrar")
	b := bindSelected(t, kubevisionv1alpha1.RoleAdmin, sandbox, p)
	second := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("a-second"), Labels: sandbox},
		Spec:       kubevisionv1alpha1.KubeVisionClusterSpec{InCluster: true},
	}
	set().Create(t, second)
	disputed(t, second, host)
	if got, err := theHost().isGranted(t.Context(), b); err != nil || got {
		t.Errorf("there is a grant on the host: %t (%v)", got, err)
	}
	p.becomes(t, fixture.Patience, second.Name, "/resources/pods", wire.Unreachable)
	unregister(t, second)
	undisputed(t, host)
	if code := p.code(t, "host", "/resources/pods"); code != wire.ClusterForbidden {
		t.Errorf("code %d of the host", code)
	}
}

// TestMemberIsNotClaimed verifies that a false API server cannot claim the identity of a registered cluster:
//   - The alphabetical order of the names of the registrations has no effect.
//   - The false API server receives no writes.
//   - Grants and revocations take effect on the registered cluster.
//   - The deletion of the false API server's registration does not affect the registered cluster.
//   - The deletion of the registered cluster's registration removes all objects of KubeVision from the cluster.
func TestMemberIsNotClaimed(t *testing.T) {
	member := theOther(t)
	production := map[string]string{"environment": fixture.Name("production")}
	falsified := newImpostor(t, theHost(), identityOf(t, member.admin))
	prod := register(t, member.Config(), production)
	ready(t, prod)
	p := login(t, "operator")
	b := bindSelected(t, kubevisionv1alpha1.RoleOps, production, p)
	p.becomes(t, fixture.Patience, prod.Name, "/resources/pods", wire.OK)

	c := registerAs(t, fixture.Name("a-member"), falsified.config(), production)
	disputed(t, c, prod)
	if code := p.code(t, c.Name, "/resources/pods"); code != wire.Unreachable {
		t.Errorf("code %d of the false server", code)
	}
	later := bindSelected(t, kubevisionv1alpha1.RoleOps, production, p)
	member.granted(t, later, true)
	set().Delete(t, b)
	set().Gone(t, b)
	if got, err := member.isGranted(t.Context(), b); err != nil || got {
		t.Errorf("the revoked grant exists: %t (%v)", got, err)
	}

	unregister(t, c)
	undisputed(t, prod)
	member.granted(t, later, true)
	if code := p.code(t, prod.Name, "/resources/pods"); code != wire.OK {
		t.Errorf("after the end of the false server: code %d", code)
	}
	c = registerAs(t, fixture.Name("a-member"), falsified.config(), production)
	disputed(t, c, prod)
	if got := falsified.written(); len(got) > 0 {
		t.Errorf("the false server was sent %v", got)
	}
	falsified.stop() // otherwise, it would be the only registration with that identity
	unregister(t, prod)
	nothingLeft(t, member)
}

// TestTwinNeedsProof verifies that a second registration of a cluster is accepted only if the kubeconfigs of both
// registrations lead to the same cluster:
//   - The second registration remains accepted after a change of either kubeconfig.
//   - The second registration is rejected while its kubeconfig leads to another cluster that claims the same identity.
//   - A registration that is deleted and created again must be verified again.
func TestTwinNeedsProof(t *testing.T) {
	member := theOther(t)
	f := newFront(t, member)
	// The tokens are requested before the registrations, because the cleanup of the registrations needs them.
	tokens := []string{member.token(t), member.token(t), member.token(t)}
	falsified := newImpostor(t, theHost(), identityOf(t, member.admin))
	prod := register(t, member.Config(), nil)
	ready(t, prod)
	selected := map[string]string{"team": fixture.Name("team")}
	twin := registerAs(t, fixture.Name("a-twin"), f.config(tokens[0]), selected)
	ready(t, twin)
	if twin.Status.ClusterID != prod.Status.ClusterID {
		t.Errorf("they are %s and %s", prod.Status.ClusterID, twin.Status.ClusterID)
	}
	p := login(t, "twin")
	b := bindSelected(t, kubevisionv1alpha1.RoleReadonly, selected, p)
	p.becomes(t, fixture.Patience, twin.Name, "/resources/pods", wire.OK)

	replaceKubeconfig(t, twin, f.config(tokens[1]))
	replaceKubeconfig(t, prod, f.config(tokens[2]))
	for _, c := range []*kubevisionv1alpha1.KubeVisionCluster{prod, twin} {
		ready(t, c)
		undisputed(t, c)
	}
	p.becomes(t, fixture.Patience, twin.Name, "/resources/pods", wire.OK)
	member.granted(t, b, true)
	noNonces(t, member)

	replaceKubeconfig(t, twin, falsified.config())
	disputed(t, twin, prod)
	p.becomes(t, fixture.Patience, twin.Name, "/resources/pods", wire.Unreachable)
	member.granted(t, b, false) // no selected registration leads to this cluster now
	replaceKubeconfig(t, twin, f.config(tokens[0]))
	ready(t, twin)
	undisputed(t, twin)
	undisputed(t, prod)
	p.becomes(t, fixture.Patience, twin.Name, "/resources/pods", wire.OK)

	unregister(t, twin)
	again := registerAs(t, twin.Name, falsified.config(), selected)
	disputed(t, again, prod)
	member.granted(t, b, false)
	noNonces(t, member)
	unregister(t, again)
	undisputed(t, prod)
	if got := falsified.written(); len(got) > 0 {
		t.Errorf("the false server was sent %v", got)
	}
}

// noNonces waits until the member contains no Secret whose name begins with kubevision-identity-. With such a Secret,
// KubeVision verifies that two registrations lead to the same cluster.
func noNonces(t *testing.T, member *plane) {
	t.Helper()
	fixture.Eventually(t, "wait until the Secrets of proofs are gone", func(ctx context.Context) error {
		var all corev1.SecretList
		if err := member.admin.List(ctx, &all, client.InNamespace(fixture.SystemNamespace)); err != nil {
			return fmt.Errorf("listing secrets: %w", err)
		}
		for i := range all.Items {
			if strings.HasPrefix(all.Items[i].Name, "kubevision-identity-") {
				return fmt.Errorf("%s is there", all.Items[i].Name)
			}
		}
		return nil
	})
}

// TestTwinWithoutTheHolder verifies what happens to other registrations of a cluster when the first registration is
// disconnected or deleted:
//   - A second registration that was already Ready remains usable.
//   - A new registration is rejected until the first registration is connected again.
//   - The other registrations remain usable after the deletion of the first registration.
func TestTwinWithoutTheHolder(t *testing.T) {
	member := theOther(t)
	prod := register(t, member.Config(), nil)
	ready(t, prod)
	twin := register(t, member.Config(), map[string]string{"team": "twin"})
	ready(t, twin)
	lost := member.Config()
	lost.Host = "https://127.0.0.1:1"
	replaceKubeconfig(t, prod, lost)
	condition(t, prod, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonProbeFailed)
	late := register(t, member.Config(), nil)
	condition(t, late, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonIdentityConflict)
	p := login(t, "twin")
	set().Bind(t, "twin", fixture.Grant{Role: kubevisionv1alpha1.RoleReadonly,
		Subjects: fixture.KubeVisionUsers(p.User), Cluster: twin.Name})
	p.becomes(t, fixture.Patience, twin.Name, "/resources/pods", wire.OK)
	replaceKubeconfig(t, prod, member.Config())
	for _, c := range []*kubevisionv1alpha1.KubeVisionCluster{prod, twin, late} {
		ready(t, c)
		undisputed(t, c)
	}
	p.becomes(t, fixture.Patience, twin.Name, "/resources/pods", wire.OK) // the proof uses another connection
	// After the deletion of the holder, a proven registration holds the identity, and the grants on the cluster remain.
	unregister(t, prod)
	if e, err := p.get(t.Context(), twin.Name, "/resources/pods"); err != nil || e.Code != wire.OK {
		t.Errorf("after the end of the first registration: code %d: %s (%v)", e.Code, e.Message, err)
	}
	ready(t, late)
	unregister(t, late)
	unregister(t, twin)
	nothingLeft(t, member)
}
