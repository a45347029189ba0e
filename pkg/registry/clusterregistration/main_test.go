// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/clusterregistration"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

// canary is a text in each kubeconfig of the tests. The tests detect leaks of a kubeconfig by this text.
const canary = "canary-in-the-kubeconfig"

// unregistered is the name of a cluster that is not registered. For this name, the function examine returns
// clusters.ErrNotRegistered.
const unregistered = "unregistered"

var shared controlplane.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

type fields map[string]any

// endpoints are the HTTP endpoints of the package clusterregistration, connected to a test control plane. The endpoints
// impersonate the caller of a request when they use the control plane.
type endpoints struct {
	*controlplane.Endpoints
	fixture.Set

	reviewer *authorization.Reviewer
}

func newEndpoints(t *testing.T) *endpoints {
	t.Helper()
	config, admin := shared.Cluster(t).Config(), shared.Client(t)
	shared.Guard(t, canary)
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	reviewer := authorization.NewReviewer(kube.AuthorizationV1())
	as := func(_ context.Context, u user.Info) (client.Client, error) {
		impersonated := rest.CopyConfig(config)
		impersonated.Impersonate = rest.ImpersonationConfig{UserName: u.GetName(), Groups: u.GetGroups()}
		return client.New(impersonated, client.Options{Scheme: admin.Scheme(), Mapper: admin.RESTMapper()})
	}
	return &endpoints{Set: fixture.Set{Client: admin}, reviewer: reviewer, Endpoints: controlplane.NewEndpoints(t,
		&clusterregistration.Provider{
			Reader: admin, Host: &hostobjects.Host{As: as, Reviewer: reviewer}, Examine: examine,
			Policy: addresspolicy.Policy{Denied: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		})}
}

func examine(_ context.Context, name string) (clusters.Examination, error) {
	if name == unregistered {
		return clusters.Examination{}, fmt.Errorf("examining: %w", clusters.ErrNotRegistered)
	}
	return clusters.Examination{Reachable: true, Version: "v1.2.3", Message: "the token has expired"}, nil
}

// onClusters returns an RBAC rule for KubeVisionClusters. Without names, the rule applies to all KubeVisionClusters.
func onClusters(verb string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{kubevisionv1alpha1.GroupName},
		Resources: []string{kubevisionv1alpha1.ResourceClusters}, Verbs: []string{verb}, ResourceNames: names}
}

func onSecrets(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}
}

func (e *endpoints) operator(t *testing.T) user.Info {
	t.Helper()
	return e.caller(t, onClusters("*"), onSecrets("get", "create", "update"))
}

// caller creates a user with the given RBAC rules on the host cluster, and waits until the rules take effect.
func (e *endpoints) caller(t *testing.T, rules ...rbacv1.PolicyRule) user.Info {
	t.Helper()
	name := fixture.Name("caller")
	e.Create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	e.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	u := &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}
	action := &authorizationv1.ResourceAttributes{Group: rules[0].APIGroups[0], Resource: rules[0].Resources[0],
		Verb: rules[0].Verbs[0]}
	if len(rules[0].ResourceNames) > 0 {
		action.Name = rules[0].ResourceNames[0]
	}
	fixture.Eventually(t, "wait for the rights of "+name, func(ctx context.Context) error {
		allowed, err := e.reviewer.Allowed(ctx, u, action)
		if err == nil && !allowed {
			err = errors.New("the rights are not in force")
		}
		return err
	})
	return u
}

// register creates a KubeVisionCluster directly, without a request to the endpoints.
func (e *endpoints) register(t *testing.T) *kubevisionv1alpha1.KubeVisionCluster {
	t.Helper()
	name := fixture.Name("member")
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": "test"}},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			DisplayName:         "A member",
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: secretName(name)},
		},
	}
	e.Create(t, c)
	return c
}

func secretName(cluster string) string { return cluster + "-kubeconfig" }

func secretOf(cluster string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: secretName(cluster)}, Data: data,
	}
}

// valid returns a kubeconfig that the endpoints accept.
func valid() string { return fixture.Kubeconfig("https://kube.example:6443", canary, "") }
