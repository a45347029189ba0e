// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// newEditor creates an editor through KubeVision's API for users. An editor has the KubeVision role dev on all
// clusters.
func newEditor(tb testing.TB) *person {
	tb.Helper()
	const host = "host"
	set().HostCluster(tb, host)
	boss := login(tb, "boss")
	set().Bind(tb, "boss", fixture.Grant{
		Role: kubevisionv1alpha1.RoleAdmin, Subjects: fixture.KubeVisionUsers(boss.User), Cluster: host,
	})
	name, password := fixture.Name("editor"), "a long one for the test 9"
	body, err := json.Marshal(map[string]any{"username": name, "password": password, "role": "editor",
		"mustChangePassword": false})
	if err != nil {
		tb.Fatal(err)
	}
	request := wire.Request{Method: "POST", Path: wire.DirectPath + "/users", Bearer: boss.token, Body: string(body)}
	fixture.Eventually(tb, "make the user", func(ctx context.Context) error {
		response, err := boss.client.Do(ctx, request)
		if err != nil {
			return err
		}
		if e, err := response.Parse(); err != nil || e.Code != wire.OK {
			return fmt.Errorf("code %d: %s (%w)", e.Code, e.Message, err)
		}
		return nil
	})
	set().Later(tb, &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name}})
	u := fixture.User{Name: name, Password: password}
	p := &person{User: u, client: direct(tb)}
	p.token = u.Login(tb, p.client, wire.DirectPath).AccessToken
	return p
}

// kubectl returns a client that sends requests as a KubeVision user directly to a cluster.
func kubectl(tb testing.TB, config *rest.Config, user string) kubernetes.Interface {
	tb.Helper()
	as := rest.CopyConfig(config)
	as.Impersonate = rest.ImpersonationConfig{UserName: "kubevision:" + user,
		Groups: []string{"kubevision:users", "system:authenticated"}}
	c, err := kubernetes.NewForConfig(as)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestEditorStaysOutOfProtectedNamespaces verifies the rights of a user who has the role dev on all clusters. In the
// namespaces of KubeVision and Kubernetes, the user can only read objects other than Secrets. In other namespaces, the
// user can also read Secrets and create Pods. The test sends requests to two clusters, through KubeVision's API and
// directly.
func TestEditorStaysOutOfProtectedNamespaces(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	p := newEditor(t)
	for _, tc := range []struct {
		cluster string
		config  *rest.Config
		objects fixture.Set
	}{{"host", env.Cluster.Config(), set()}, {c.Name, member.Config(), member.set()}} {
		t.Run(tc.cluster, func(t *testing.T) {
			before := tc.objects.Namespace(t, "before")
			p.becomes(t, fixture.Patience, tc.cluster, "/namespaces/"+before+"/resources/secrets", wire.OK)
			after := tc.objects.Namespace(t, "after")
			p.becomes(t, fixture.Patience, tc.cluster, "/namespaces/"+after+"/resources/secrets", wire.OK)
			direct := kubectl(t, tc.config, p.Name)
			for _, n := range []string{before, after} {
				if err := makePod(t, direct, n); err != nil {
					t.Errorf("a Pod in %s: %v", n, err)
				}
			}
			for _, n := range []string{"kubevision-system", "kube-system"} {
				if code := p.code(t, tc.cluster, "/namespaces/"+n+"/resources/pods"); code != wire.OK {
					t.Errorf("Pods of %s: code %d", n, code)
				}
				for _, path := range []string{"secrets", "secrets/kubevision-signing-keys",
					"secrets/kubevision-credentials-" + p.Name} {
					if code := p.code(t, tc.cluster, "/namespaces/"+n+"/resources/"+path); code != wire.Forbidden {
						t.Errorf("%s of %s: code %d", path, n, code)
					}
				}
				checkForbidden(t, direct, n)
			}
		})
	}
}

func makePod(t *testing.T, as kubernetes.Interface, namespace string) error {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("pod")},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}},
	}
	// Pods are admitted when the default ServiceAccount of the namespace exists, shortly after the creation of the
	// namespace.
	return localcluster.Poll(t.Context(), repairTime, "make a Pod", func(ctx context.Context) error {
		_, err := as.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
}

// checkForbidden verifies that a user cannot create Pods, create tokens or use Secrets in the namespace. Otherwise, the
// user could gain further rights.
func checkForbidden(t *testing.T, as kubernetes.Interface, namespace string) {
	t.Helper()
	core := as.CoreV1()
	_, pod := core.Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "thief"},
		Spec: corev1.PodSpec{
			ServiceAccountName: "kubevision-controller-manager",
			Containers:         []corev1.Container{{Name: "c", Image: "none"}},
		},
	}, metav1.CreateOptions{})
	_, secret := core.Secrets(namespace).Get(t.Context(), "kubevision-signing-keys", metav1.GetOptions{})
	_, secrets := core.Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	_, patch := core.Secrets(namespace).Patch(t.Context(), "kubevision-signing-keys", types.MergePatchType,
		[]byte(`{"data":null}`),
		metav1.PatchOptions{})
	_, token := core.ServiceAccounts(namespace).CreateToken(t.Context(), "kubevision-impersonator",
		&authenticationv1.TokenRequest{},
		metav1.CreateOptions{})
	for what, err := range map[string]error{
		"create a Pod": pod, "get a Secret": secret, "list Secrets": secrets, "patch a Secret": patch,
		"get a token": token,
	} {
		// Admission also rejects some of these calls. The test verifies that RBAC rejects them.
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), " cannot ") {
			t.Errorf("%s in %s: %v", what, namespace, errors.Join(err))
		}
	}
}
