// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package node runs a Kubernetes node in a sandbox, with containerd, kubelet and kube-proxy. It also runs
// kube-scheduler. The node imports images from archives instead of a registry.
package node

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/e2e/sandbox"
)

const (
	// ShellImage is an image with a shell and common commands.
	ShellImage = "localhost/shell:1"
)

//go:embed config
var configs embed.FS

// Node is a running node. The programs of the node stop when the cluster stops.
type Node struct {
	cluster          *localcluster.Cluster
	assets, packages string
	dir              string
}

// Shell returns the path of a statically linked busybox. assets is the directory that localcluster.ClusterAssets
// returns.
func Shell(assets string) string { return filepath.Join(assets, "packages", "bin", "busybox") }

// Start starts a node of the cluster, and waits until the node is Ready. assets is the directory that
// localcluster.ClusterAssets returns.
func Start(ctx context.Context, cluster *localcluster.Cluster, assets string) (*Node, error) {
	n := &Node{
		cluster: cluster, assets: assets, packages: filepath.Join(assets, "packages"),
		dir: filepath.Join(sandbox.Dir, "node"),
	}
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of the node: %w", err)
	}
	for _, step := range []func(context.Context) error{
		n.writeConfigs, n.allowAPIServer, n.startContainerd, n.importShell, n.startScheduler, n.startKubelet,
		n.startProxy,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Import imports an archive of container images into containerd.
func (n *Node) Import(ctx context.Context, archive string) error {
	ctr := filepath.Join(n.packages, "usr", "bin", "ctr")
	cmd := exec.CommandContext(ctx, ctr, "--namespace=k8s.io", "images", "import", archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w: %s", archive, err, out)
	}
	return nil
}

// env returns the environment variables PATH and LD_LIBRARY_PATH. Programs from the unpacked Debian packages need these
// variables to find other programs and shared libraries from the packages.
func (n *Node) env() []string {
	var libraries []string
	for _, pattern := range []string{"lib/*-linux-gnu*", "usr/lib/*-linux-gnu*"} {
		found, _ := filepath.Glob(filepath.Join(n.packages, pattern)) // the pattern is valid
		libraries = append(libraries, found...)
	}
	programs := []string{filepath.Join(n.packages, "usr", "bin"), filepath.Join(n.packages, "usr", "sbin")}
	return []string{
		"LD_LIBRARY_PATH=" + strings.Join(libraries, ":"),
		"PATH=" + strings.Join(append(programs, os.Getenv("PATH")), ":"),
	}
}

// writeConfigs writes the configuration files of the node's programs. It also writes the credentials to which the files
// refer.
func (n *Node) writeConfigs(context.Context) error {
	values := strings.NewReplacer("$DIR", n.dir, "$PACKAGES", n.packages, "$ADDRESS", sandbox.Address,
		"$HOSTNAME", sandbox.Hostname, "$CGROUP", sandbox.Cgroup, "$IMAGE", ShellImage)
	entries, err := configs.ReadDir("config")
	if err != nil {
		return fmt.Errorf("list the configurations: %w", err)
	}
	for _, entry := range entries {
		text, err := configs.ReadFile("config/" + entry.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(n.dir, entry.Name()), []byte(values.Replace(string(text))), 0o600)
		}
		if err != nil {
			return fmt.Errorf("write a configuration: %w", err)
		}
	}
	serving, err := n.cluster.ClusterCA().IssueServing(sandbox.Hostname, sandbox.Address)
	if err != nil {
		return fmt.Errorf("issue the certificate of kubelet: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(n.dir, "ca.crt"), n.cluster.ClusterCA().CertPEM, 0o600),
		os.WriteFile(filepath.Join(n.dir, "kubelet.crt"), serving.CertPEM, 0o600),
		os.WriteFile(filepath.Join(n.dir, "kubelet.key"), serving.KeyPEM, 0o600),
		n.writeKubeconfig("kubelet", "system:node:"+sandbox.Hostname, "system:nodes"),
		n.writeKubeconfig("kube-proxy", "system:kube-proxy"),
	)
}

// allowAPIServer allows kube-apiserver to call kubelets, as installers of Kubernetes do.
func (n *Node) allowAPIServer(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(n.cluster.Config())
	if err != nil {
		return fmt.Errorf("create a client: %w", err)
	}
	const name = "kube-apiserver-kubelet-client" // the name in the certificate of localcluster
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kubelet-api-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("let kube-apiserver use kubelets: %w", err)
	}
	return nil
}

func (n *Node) writeKubeconfig(name, user string, groups ...string) error {
	config, err := n.cluster.UserConfig(user, groups...)
	if err != nil {
		return fmt.Errorf("issue the certificate of %s: %w", name, err)
	}
	return localcluster.WriteKubeconfig(config, filepath.Join(n.dir, name+".kubeconfig"))
}

func (n *Node) startContainerd(ctx context.Context) error {
	answers := func(ctx context.Context) error {
		ctr := filepath.Join(n.packages, "usr", "bin", "ctr")
		return exec.CommandContext(ctx, ctr, "version").Run()
	}
	_, err := n.cluster.Run(ctx, filepath.Join(n.packages, "usr", "bin", "containerd"), answers, n.env(),
		"--config="+filepath.Join(n.dir, "containerd.toml"))
	return err
}

func (n *Node) startScheduler(ctx context.Context) error {
	return n.cluster.StartScheduler(ctx, n.assets)
}

func (n *Node) startKubelet(ctx context.Context) error {
	_, err := n.cluster.Run(ctx, filepath.Join(n.assets, "kubelet"), nodeReady(n.cluster.Config()), n.env(),
		"--config="+filepath.Join(n.dir, "kubelet.yaml"),
		"--kubeconfig="+filepath.Join(n.dir, "kubelet.kubeconfig"),
		"--root-dir="+filepath.Join(n.dir, "kubelet"),
		"--hostname-override="+sandbox.Hostname,
		"--node-ip="+sandbox.Address)
	return err
}

func (n *Node) startProxy(ctx context.Context) error {
	ready := func(context.Context) error { return nil }
	_, err := n.cluster.Run(ctx, filepath.Join(n.assets, "kube-proxy"), ready, n.env(),
		"--config="+filepath.Join(n.dir, "kube-proxy.yaml"))
	return err
}

// nodeReady returns a check that the node is Ready.
func nodeReady(config *rest.Config) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return fmt.Errorf("create a client: %w", err)
		}
		found, err := client.CoreV1().Nodes().Get(ctx, sandbox.Hostname, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read the node: %w", err)
		}
		for _, c := range found.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return errors.New("the node is not Ready")
	}
}
