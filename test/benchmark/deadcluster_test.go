// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	registeredClusters = 20
	visitors           = 20
	visitPause         = 100 * time.Millisecond
	requestsPerVisitor = 4
)

// BenchmarkDeadCluster measures lists of Pods on healthy clusters while other users call a cluster that accepts
// connections and never responds. For comparison, it measures the lists while these users call a healthy cluster.
// KubeVision's goal is a p99-ratio of 1.
func BenchmarkDeadCluster(b *testing.B) {
	set().HostCluster(b, host)
	u := set().User(b, "visitor")
	set().Bind(b, "visitor", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(u)})
	client := direct(b)
	token := u.Login(b, client, wire.DirectPath).AccessToken
	list := func(cluster string) wire.Request {
		return wire.Request{Path: wire.DirectPath + "/clusters/" + cluster + "/namespaces/default/resources/pods",
			Bearer: token}
	}
	dead := registerAt(b, deadAddress(b))
	var others []*bystander
	for range registeredClusters - 1 {
		o := &bystander{client: client, request: list(registerAt(b, env.Cluster.Config().Host))}
		fixture.Eventually(b, "list Pods", func(ctx context.Context) error {
			_, err := o.list(ctx)
			return err
		})
		others = append(others, o)
	}
	visit := func(cluster string, code int) durations {
		var out durations
		for _, o := range others {
			out = append(out, beside(b, o, func(ctx context.Context, _ time.Duration) error {
				return sendConcurrently(ctx, client, list(cluster), code)
			})...)
		}
		return out
	}
	var besideDead, besideGood durations
	for b.Loop() {
		besideGood = append(besideGood, visit(host, wire.OK)...)
		besideDead = append(besideDead, visit(dead, wire.Unreachable)...)
	}
	b.Logf("%d lists beside a healthy cluster, %d beside a dead one", len(besideGood), len(besideDead))
	b.ReportMetric(0, "ns/op") // the duration is fixed
	compare(b, 50, "dead", besideDead, "good", besideGood)
	compare(b, 99, "dead", besideDead, "good", besideGood)
}

func sendConcurrently(ctx context.Context, client *wire.Client, r wire.Request, code int) error {
	var group errgroup.Group
	for range visitors {
		group.Go(func() error {
			for range requestsPerVisitor {
				response, err := client.Do(ctx, r)
				if err != nil {
					return err
				}
				if _, err := answered(response, code); err != nil {
					return err
				}
				time.Sleep(visitPause)
			}
			return nil
		})
	}
	return group.Wait()
}

// deadAddress returns the address of a server that accepts connections and never responds.
func deadAddress(b *testing.B) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		var held []net.Conn
		for {
			c, err := listener.Accept()
			if err != nil {
				break
			}
			held = append(held, c)
		}
		for _, c := range held {
			_ = c.Close()
		}
	}()
	return fmt.Sprintf("https://%s", listener.Addr())
}

func registerAt(b *testing.B, address string) string {
	b.Helper()
	config := rest.CopyConfig(env.Cluster.Config())
	config.Host = address
	return registerBy(b, config)
}

func registerBy(b *testing.B, config *rest.Config) string {
	b.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		b.Fatal(err)
	}
	name := fixture.Name("registered")
	set().Create(b, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
		Data:       map[string][]byte{"kubeconfig": text},
	})
	set().Create(b, &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name}},
	})
	return name
}
