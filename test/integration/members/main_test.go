// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package members tests KubeVision with two real control planes: the cluster on which KubeVision runs, and a cluster
// that is registered with a kubeconfig.
package members

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const (
	// repairTime bounds the time until a manual change is reverted.
	repairTime = 5 * time.Second
	// collection bounds the time until Kubernetes has removed a deleted namespace. Until then, KubeVision cannot create
	// the namespace again.
	collection = 90 * time.Second
	// noticed bounds the time until the controllers detect that a cluster is unreachable.
	noticed = 60 * time.Second
)

var env *environment.Environment

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, environment.Options{ConfineMemory: true}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

type plane struct {
	*localcluster.Cluster

	admin client.Client
}

var other = sync.OnceValues(func() (*plane, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := env.StartCluster(ctx)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), rbacv1.AddToScheme(scheme),
		corev1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building a scheme: %w", err)
	}
	admin, err := client.New(c.Config(), client.Options{Scheme: scheme})
	return &plane{Cluster: c, admin: admin}, err
})

func theOther(tb testing.TB) *plane {
	tb.Helper()
	p, err := other()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (p *plane) set() fixture.Set { return fixture.Set{Client: p.admin} }

func register(
	tb testing.TB, config *rest.Config, clusterLabels map[string]string,
) *kubevisionv1alpha1.KubeVisionCluster {
	tb.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return registerText(tb, string(text), clusterLabels)
}

func registerText(
	tb testing.TB, kubeconfig string, clusterLabels map[string]string,
) *kubevisionv1alpha1.KubeVisionCluster {
	tb.Helper()
	name := fixture.Name("member")
	set().Create(tb, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
		StringData: map[string]string{"kubeconfig": kubeconfig},
	})
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: clusterLabels},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name}},
	}
	if err := env.Client.Create(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unregister(tb, c) })
	return c
}

// unregister deletes a KubeVisionCluster and waits until the object is gone. The Secret with the kubeconfig must still
// exist, because KubeVision removes its objects from the cluster first.
func unregister(tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	if err := client.IgnoreNotFound(env.Client.Delete(ctx, c)); err != nil {
		tb.Error(err)
	}
	err := localcluster.Poll(ctx, time.Minute, "wait for the end of cluster "+c.Name, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return client.IgnoreNotFound(err)
		}
		return fmt.Errorf("it still exists: %v", c.Status.Conditions)
	})
	if err != nil {
		tb.Error(err)
	}
}

// condition waits until the named condition of the cluster has the expected status and reason. An empty reason matches
// any reason.
func condition(
	tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster, within time.Duration, name string,
	status metav1.ConditionStatus, reason string,
) {
	tb.Helper()
	what := fmt.Sprintf("wait for %s=%s %s of cluster %s", name, status, reason, c.Name)
	var last []metav1.Condition
	if err := localcluster.Poll(tb.Context(), within, what, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return fmt.Errorf("reading the cluster: %w", err)
		}
		last = c.Status.Conditions
		found := meta.FindStatusCondition(last, name)
		if found == nil || found.Status != status || (reason != "" && found.Reason != reason) {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		tb.Fatalf("%v: %+v", err, last)
	}
}

func ready(tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster) {
	tb.Helper()
	condition(tb, c, collection, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, "")
}

func direct(tb testing.TB) *wire.Client {
	tb.Helper()
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

type person struct {
	fixture.User

	client *wire.Client
	token  string
}

func login(tb testing.TB, prefix string) *person {
	tb.Helper()
	u, c := set().User(tb, prefix), direct(tb)
	return &person{User: u, client: c, token: u.Login(tb, c, wire.DirectPath).AccessToken}
}

func (p *person) get(ctx context.Context, cluster, path string) (wire.Envelope, error) {
	response, err := p.client.Do(ctx, wire.Request{Path: wire.DirectPath + "/clusters/" + cluster + path,
		Bearer: p.token})
	if err != nil {
		return wire.Envelope{}, err
	}
	return response.Parse()
}

func (p *person) code(tb testing.TB, cluster, path string) int {
	tb.Helper()
	e, err := p.get(tb.Context(), cluster, path)
	if err != nil {
		tb.Fatal(err)
	}
	return e.Code
}

// becomes waits until a GET request of the person returns the expected code.
func (p *person) becomes(tb testing.TB, within time.Duration, cluster, path string, code int) {
	tb.Helper()
	var last wire.Envelope
	if err := localcluster.Poll(tb.Context(), within, fmt.Sprintf("wait for code %d of %s%s", code, cluster,
		path), func(ctx context.Context) error {
		e, err := p.get(ctx, cluster, path)
		if err != nil {
			return err
		}
		if last = e; e.Code != code {
			return errors.New("another code")
		}
		return nil
	}); err != nil {
		tb.Fatalf("%v; the last one was %d: %s", err, last.Code, last.Message)
	}
}
