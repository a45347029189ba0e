// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// checkKubelet verifies that logs and commands of a Pod work through kube-apiserver. It also verifies that the kubelet
// rejects all other clients, because a client of the kubelet can run commands on the machine of the test.
func checkKubelet(t *testing.T, c *Cluster) {
	port, err := c.StartKubelet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(c.Config())
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "simulated"}}
	if node, err = client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: loopback}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port) //nolint:gosec // a port has 16 bits
	if _, err := client.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "simulated"},
		Spec: corev1.PodSpec{
			NodeName: node.Name, Containers: []corev1.Container{{Name: "main", Image: "none"}},
			AutomountServiceAccountToken: new(bool),
		},
	}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Kubectl(t.Context(), "logs", "simulated"); err != nil || !strings.Contains(got, "simulated") {
		t.Errorf("the log is %q (%v)", got, err)
	}
	got, err := c.Kubectl(t.Context(), "exec", "simulated", "--", "sh", "-c", "echo $HOSTNAME")
	if err != nil || got != "simulated" {
		t.Errorf("a command prints %q (%v)", got, err)
	}
	_, err = c.Kubectl(t.Context(), "exec", "simulated", "--", "sh", "-c", "exit 7")
	if err == nil || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("a command that fails: %v", err)
	}

	url := fmt.Sprintf("https://%s/containerLogs/default/simulated/main", address(port))
	for name, pair := range map[string]KeyPair{"nobody": {}, "a user": c.keys.admin} {
		check, err := probe(url, c.keys.cluster.CertPEM, pair)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t.Context()); err == nil {
			t.Errorf("%s gets an answer of the kubelet", name)
		}
	}
	url = "http://" + address(port) + "/healthz"
	plain, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	withoutTLS := &http.Client{Timeout: 5 * time.Second}
	if answer, err := withoutTLS.Do(plain); err == nil {
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %s", answer.Status)
		}
	}
}
