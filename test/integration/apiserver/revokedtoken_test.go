// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// podToken creates a Pod of kubevision-apiserver. It returns the Pod, and a kubeconfig with a token that is valid until
// the Pod is deleted.
func podToken(t *testing.T) (pod *corev1.Pod, kubeconfig string) {
	t.Helper()
	pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: fixture.Name("replica")},
		Spec: corev1.PodSpec{
			ServiceAccountName: "kubevision-apiserver",
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "kubevision-apiserver", Image: "kubevision:v0.1.0",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	set().Create(t, pod)
	kube, err := kubernetes.NewForConfig(env.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	bound := &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: bound}}
	answer, err := kube.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(t.Context(), "kubevision-apiserver",
		request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := env.Cluster.AnonymousConfig()
	config.BearerToken = answer.Status.Token
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := localcluster.WriteKubeconfig(config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return pod, kubeconfig
}

// TestTokenOfADeletedPod verifies the behavior of a program whose Pod object is deleted while the program runs, as with
// "kubectl delete --force". The program must become not ready, so that it gets no more requests, and must close the
// connections of its clients.
func TestTokenOfADeletedPod(t *testing.T) {
	// kube-apiserver caches the validity of a token for ten seconds.
	const noticed = 15 * time.Second
	pod, kubeconfig := podToken(t)
	replica := replicaWith(t, "--kubeconfig="+kubeconfig)
	c, frontProxy := at(t, replica.Endpoint()), at(t, replica.Endpoint(), env.Cluster.FrontProxyCert())
	request := wire.Request{Path: wire.GroupPath + me, Header: http.Header{"X-Remote-User": {"somebody"}}}
	closes := func() bool { // returns true if the server closes the connection after a request
		var reused bool
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
		})
		for range 2 {
			if _, err := frontProxy.Do(ctx, request); err != nil {
				t.Error(err)
			}
		}
		return !reused
	}
	if closes() {
		t.Error("the connection of kube-apiserver is closed")
	}
	if err := env.Client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := localcluster.Poll(t.Context(), noticed, "be not ready", func(ctx context.Context) error {
		response, err := c.Do(ctx, wire.Request{Path: "/readyz"})
		if err != nil {
			return fmt.Errorf("asking whether it is ready: %w", err)
		}
		if response.Status == http.StatusOK {
			return errors.New("it is ready")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("not ready after %s", time.Since(begun).Round(time.Millisecond))
	if got := c.Send(t, wire.Request{Path: "/livez"}); got.Status != http.StatusOK {
		t.Errorf("/livez: HTTP %d", got.Status)
	}
	if !closes() {
		t.Error("kube-apiserver goes on to use its connection")
	}
}
