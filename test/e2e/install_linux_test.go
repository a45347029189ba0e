// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/e2e/sandbox"
)

const (
	namespace = fixture.SystemNamespace
	// serviceName is a name in the serving certificate.
	serviceName = "kubevision-apiserver.kubevision-system.svc"
	serviceURL  = "https://" + serviceName
	apiService  = "apiservice/v1alpha1.dashboard.kubevision.io"

	apiserver         = "kubevision-apiserver"
	controllerManager = "kubevision-controller-manager"

	hostName   = "local"
	memberName = "edge"
)

func installManifests(t *testing.T, version string) {
	t.Helper()
	begun := time.Now()
	world.host.must(t, "apply", "--server-side", "--force-conflicts", "-f", world.release(version, "install.yaml"))
	t.Logf("applied after %s", time.Since(begun).Round(100*time.Millisecond))
	awaitInstallation(t)
	t.Logf("installed after %s", time.Since(begun).Round(100*time.Millisecond))
}

// awaitInstallation waits until both programs run, kube-apiserver reaches kubevision-apiserver, and kube-apiserver has
// found the kinds to which the admission policies refer.
func awaitInstallation(t *testing.T) {
	t.Helper()
	awaitRollout(t, controllerManager)
	awaitRollout(t, apiserver)
	world.host.must(t, "wait", "--for=condition=Available", apiService, "--timeout=60s")
	eventually(t, "create a user", func(ctx context.Context) error {
		user := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: "e2e-dry-run"}}
		return world.host.Client.Create(ctx, user, client.DryRunAll)
	})
	service := &corev1.Service{}
	if err := world.host.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: apiserver},
		service); err != nil {
		t.Fatal(err)
	}
	if err := sandbox.SetHosts(map[string]string{service.Spec.ClusterIP: serviceName}); err != nil {
		t.Fatal(err)
	}
}

func awaitRollout(t *testing.T, deployment string) {
	t.Helper()
	world.host.must(t, "-n", namespace, "rollout", "status", "deployment/"+deployment, "--timeout=100s")
}

// registerMember registers the member, and waits until it is Ready.
func registerMember(t *testing.T) {
	t.Helper()
	kubeconfig, err := localcluster.Kubeconfig(world.member.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: memberName},
			Data:       map[string][]byte{"kubeconfig": kubeconfig},
		},
		&kubevisionv1alpha1.KubeVisionCluster{
			ObjectMeta: metav1.ObjectMeta{Name: memberName},
			Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
				KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: memberName},
			},
		},
	} {
		eventually(t, "create "+object.GetName(), func(ctx context.Context) error {
			return client.IgnoreAlreadyExists(world.host.Client.Create(ctx, object))
		})
	}
	for _, name := range []string{hostName, memberName} {
		world.host.must(t, "wait", "--for=condition=Ready", "kubevisioncluster/"+name, "--timeout=60s")
	}
}

// door is a way to send requests to the API: through the Service or through kube-apiserver.
type door struct {
	name, base      string
	client          *wire.Client
	usesTokenHeader bool
}

// doors returns the two ways to send requests to the API: through the Service, and through kube-apiserver with a client
// certificate.
func doors(t *testing.T) []door {
	t.Helper()
	direct, err := wire.New(serviceURL, []byte(world.host.servingCA(t)))
	if err != nil {
		t.Fatal(err)
	}
	through, err := wire.ForConfig(userConfig(t, "jane"))
	if err != nil {
		t.Fatal(err)
	}
	return []door{
		{name: "service", base: wire.DirectPath, client: direct},
		{name: "kube-apiserver", base: wire.GroupPath, client: through, usesTokenHeader: true},
	}
}

func userConfig(t *testing.T, name string) *rest.Config {
	t.Helper()
	config, err := world.host.UserConfig(name)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func (c *cluster) servingCA(t *testing.T) string {
	t.Helper()
	secret := &corev1.Secret{}
	if err := c.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "kubevision-apiserver-tls"},
		secret); err != nil {
		t.Fatal(err)
	}
	return string(secret.Data["ca.crt"])
}

// person is a user with a session. All requests of the user go through either the Service or kube-apiserver.
type person struct {
	door
	fixture.User

	token   string
	binding *kubevisionv1alpha1.KubeVisionRoleBinding
}

// newPerson creates a user with a role in all clusters, or in namespaces of the host.
func newPerson(t *testing.T, d door, role string, namespaces ...string) person {
	t.Helper()
	p := person{door: d, User: world.host.User(t, role)}
	grant := fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(p.User), Namespaces: namespaces}
	if len(namespaces) > 0 {
		grant.Cluster = hostName
	}
	p.binding = world.host.Bind(t, role, grant)
	direct := doors(t)[0]
	p.token = p.User.Login(t, direct.client, direct.base).AccessToken
	return p
}

func (p person) request(path string) wire.Request {
	r := wire.Request{Path: p.base + path}
	if p.usesTokenHeader {
		r.Token = p.token
	} else {
		r.Bearer = p.token
	}
	return r
}

// checkUse verifies that a user with read access can list ConfigMaps of both clusters. The requests are sent through
// the Service and through kube-apiserver.
func checkUse(t *testing.T) {
	t.Helper()
	for _, d := range doors(t) {
		p := newPerson(t, d, "readonly")
		for _, name := range []string{hostName, memberName} {
			path := "/clusters/" + name + "/namespaces/kube-system/resources/configmaps"
			eventually(t, "list through "+d.name, func(ctx context.Context) error {
				response, err := d.client.Do(ctx, p.request(path))
				if err != nil {
					return err
				}
				if e, err := response.Parse(); err != nil || e.Code != wire.OK ||
					!strings.Contains(string(e.Data), "kube-root-ca.crt") {
					return fmt.Errorf("%s: code %d: %s (%w)", path, e.Code, e.Message, err)
				}
				return nil
			})
		}
	}
}
