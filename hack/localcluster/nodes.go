// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	kubeletName   = "kubelet"
	kwokName      = "kwok"
	schedulerName = "kube-scheduler"
	schedulerUser = "system:kube-scheduler"

	// kubeletClientName is the common name of kube-apiserver's client certificate for kubelets.
	kubeletClientName = "kube-apiserver-kubelet-client"

	nodePrefix   = "node-"
	podsDir      = "pods"
	nodesTimeout = time.Minute
)

// StartNodes starts simulated nodes: a scheduler binds Pods to them, KWOK reports the Pods as running, and the kubelet
// of StartKubelet serves logs and commands. No containers run.
func (c *Cluster) StartNodes(ctx context.Context, count int) error {
	assets, err := NodeAssets(ctx, c.log)
	if err != nil {
		return err
	}
	port, err := c.startKubelet(ctx, assets)
	if err != nil {
		return err
	}
	if err := c.startScheduler(ctx, assets); err != nil {
		return err
	}
	ready := func(context.Context) error { return nil }
	kwok := c.newProgram(kwokName, filepath.Join(assets, kwokName), ready, []string{
		"--kubeconfig=" + c.adminKubeconfig(),
		"--config=" + filepath.Join(assets, "stages.yaml"),
		"--manage-all-nodes=true",
		"--node-ip=" + loopback,
		// KWOK gets no port, because its server would run commands for any client. The kubelet replaces it.
		"--node-port=0",
	})
	if err := kwok.Start(ctx); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("create a client: %w", err)
	}
	for i := range count {
		if err := createNode(ctx, client, nodePrefix+strconv.Itoa(i+1), port); err != nil {
			return err
		}
	}
	begun := time.Now()
	nodes := schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	if err := c.WaitForCondition(ctx, nodesTimeout, nodes, "Ready"); err != nil {
		return fmt.Errorf("%w; the log is %s", err, kwok.LogFile())
	}
	c.say("%d simulated nodes are Ready after %s", count, time.Since(begun).Round(pollInterval))
	return nil
}

// createNode creates a node, or keeps the node of an earlier run. It removes the taint of a new node, because the
// controller that removes it in a real cluster does not run here.
func createNode(ctx context.Context, client kubernetes.Interface, name string, port int) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname: name, corev1.LabelOSStable: "linux",
	}}}
	nodes := client.CoreV1().Nodes()
	_, err := nodes.Create(ctx, node, metav1.CreateOptions{})
	if err == nil {
		_, err = nodes.Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{})
	}
	if err == nil || apierrors.IsAlreadyExists(err) { // the kubelet may have a different port
		endpoint := fmt.Sprintf(`{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, port)
		_, err = nodes.Patch(ctx, name, types.MergePatchType, []byte(endpoint), metav1.PatchOptions{}, "status")
	}
	if err != nil {
		return fmt.Errorf("create the node %s: %w", name, err)
	}
	return nil
}

// StartKubelet starts a program that serves logs, commands and ports of Pods like a kubelet, and returns its port. The
// program acts as the kubelet of all Nodes whose status contains the address 127.0.0.1 and this port. Logs are the
// files PodsDir/NAMESPACE/POD/CONTAINER.log, commands run on this machine, and ports are those of the loopback
// interface.
func (c *Cluster) StartKubelet(ctx context.Context) (port int, err error) {
	assets, err := NodeAssets(ctx, c.log, kubeletName)
	if err != nil {
		return 0, err
	}
	return c.startKubelet(ctx, assets)
}

// PodsDir returns the directory that contains a directory NAMESPACE/NAME for each Pod.
func (c *Cluster) PodsDir() string { return filepath.Join(c.dir, podsDir) }

func (c *Cluster) startKubelet(ctx context.Context, assets string) (port int, err error) {
	if port, err = FreePort(ctx); err != nil {
		return 0, err
	}
	ready, err := probe("https://"+address(port)+"/healthz", c.keys.cluster.CertPEM, c.keys.kubeletClient)
	if err != nil {
		return 0, err
	}
	return port, c.startProgramOf(ctx, assets, kubeletName, ready, []string{
		"--address=" + address(port),
		"--dir=" + c.PodsDir(),
		"--client-ca-file=" + c.pkiFile("ca.crt"),
		"--client-name=" + kubeletClientName,
		"--tls-cert-file=" + c.pkiFile("kubelet.crt"),
		"--tls-private-key-file=" + c.pkiFile("kubelet.key"),
	})
}

func (c *Cluster) startScheduler(ctx context.Context, assets string) error {
	pair, err := c.keys.cluster.IssueClient(schedulerUser)
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(c.dir, schedulerName+".kubeconfig")
	if err := WriteKubeconfig(c.certificateConfig(pair), kubeconfig); err != nil {
		return err
	}
	port, err := FreePort(ctx)
	if err != nil {
		return err
	}
	ready, err := probe("https://"+address(port)+"/healthz", c.keys.cluster.CertPEM, KeyPair{})
	if err != nil {
		return err
	}
	return c.startProgramOf(ctx, assets, schedulerName, ready, []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + c.pkiFile("kubelet.crt"),
		"--tls-private-key-file=" + c.pkiFile("kubelet.key"),
		"--client-ca-file=" + c.pkiFile("ca.crt"),
		"--requestheader-client-ca-file=" + c.pkiFile("front-proxy-ca.crt"),
		"--leader-elect=false",
	})
}
