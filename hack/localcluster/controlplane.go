// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second

	etcdName              = "etcd"
	kubeAPIServerName     = "kube-apiserver"
	controllerManagerName = "kube-controller-manager"

	// noMutationDetector overrides the variable that "make test" sets for KubeVision's programs. With the detector, an
	// idle kube-apiserver takes twice the processor time.
	noMutationDetector = "KUBE_CACHE_MUTATION_DETECTOR=false"
)

// controllers returns the value of --controllers. Without nodes, it excludes the controllers that manage nodes, their
// volumes or load balancers. They would have no effect or do harm: the pod garbage collector would delete every Pod
// that a test binds to a node.
func (c *Cluster) controllers() string {
	if c.address != "" {
		return "*"
	}
	return strings.Join([]string{
		"*",
		"-cloud-node-lifecycle-controller",
		"-device-taint-eviction-controller",
		"-node-ipam-controller",
		"-node-lifecycle-controller",
		"-node-route-controller",
		"-persistentvolume-attach-detach-controller",
		"-persistentvolume-expander-controller",
		"-pod-garbage-collector-controller",
		"-service-lb-controller",
		"-taint-eviction-controller",
		"-ttl-controller",
	}, ",")
}

func (c *Cluster) startEtcd(ctx context.Context) (clientURL string, err error) {
	clientPort, err := FreePort(ctx)
	if err != nil {
		return "", err
	}
	peerPort, err := FreePort(ctx)
	if err != nil {
		return "", err
	}
	clientURL = "https://" + address(clientPort)
	peerURL := "https://" + address(peerPort)
	ready, err := probe(clientURL+"/health", c.keys.etcd.CertPEM, c.keys.etcdClient)
	if err != nil {
		return "", err
	}
	return clientURL, c.startProgram(ctx, etcdName, ready, []string{
		"--data-dir=" + filepath.Join(c.dir, etcdDataDir),
		"--listen-client-urls=" + clientURL,
		"--advertise-client-urls=" + clientURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=default=" + peerURL,
		"--client-cert-auth=true",
		"--trusted-ca-file=" + c.pkiFile("etcd-ca.crt"),
		"--cert-file=" + c.pkiFile("etcd.crt"),
		"--key-file=" + c.pkiFile("etcd.key"),
		"--peer-client-cert-auth=true",
		"--peer-trusted-ca-file=" + c.pkiFile("etcd-ca.crt"),
		"--peer-cert-file=" + c.pkiFile("etcd.crt"),
		"--peer-key-file=" + c.pkiFile("etcd.key"),
		// The data must survive a restart of the programs, but not a crash of the machine.
		"--unsafe-no-fsync=true",
		"--log-level=warn",
	})
}

func (c *Cluster) startKubeAPIServer(ctx context.Context, etcdURL string) error {
	policy, err := c.writeAuditPolicy()
	if err != nil {
		return err
	}
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--etcd-cafile=" + c.pkiFile("etcd-ca.crt"),
		"--etcd-certfile=" + c.pkiFile("etcd-client.crt"),
		"--etcd-keyfile=" + c.pkiFile("etcd-client.key"),
		"--secure-port=" + strconv.Itoa(c.port),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + c.pkiFile("apiserver.crt"),
		"--tls-private-key-file=" + c.pkiFile("apiserver.key"),
		"--client-ca-file=" + c.pkiFile("ca.crt"),
		"--kubelet-certificate-authority=" + c.pkiFile("ca.crt"),
		"--kubelet-client-certificate=" + c.pkiFile("kubelet-client.crt"),
		"--kubelet-client-key=" + c.pkiFile("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--anonymous-auth=true",
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--enable-aggregator-routing=false",
		"--proxy-client-cert-file=" + c.pkiFile("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.pkiFile("front-proxy-client.key"),
		"--requestheader-client-ca-file=" + c.pkiFile("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + FrontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pkiFile("sa.pub"),
		"--service-account-signing-key-file=" + c.pkiFile("sa.key"),
		"--enable-admission-plugins=NodeRestriction",
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + c.AuditLog(),
		"--audit-log-maxsize=64",
		"--audit-log-maxbackup=1",
	}
	args = append(args, c.addressFlags()...)
	if !c.hasControllerManager {
		// No controller would create the ServiceAccounts that this plugin requires.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	ready, err := probe("https://"+address(c.port)+"/readyz", c.keys.cluster.CertPEM, c.keys.admin)
	if err != nil {
		return err
	}
	return c.startProgram(ctx, kubeAPIServerName, ready, args)
}

func (c *Cluster) nonLoopbackAddresses() []string {
	if c.address == "" {
		return nil
	}
	return []string{c.address}
}

// addressFlags returns the flags that set the addresses of kube-apiserver.
func (c *Cluster) addressFlags() []string {
	if c.address != "" {
		return []string{"--bind-address=0.0.0.0", "--advertise-address=" + c.address}
	}
	return []string{
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		// A loopback address cannot be an endpoint of the Service "kubernetes".
		"--endpoint-reconciler-type=none",
	}
}

func (c *Cluster) startControllerManager(ctx context.Context) error {
	port, err := FreePort(ctx)
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(c.dir, controllerManagerName+".kubeconfig")
	if err := WriteKubeconfig(c.certificateConfig(c.keys.controllerManager), kubeconfig); err != nil {
		return err
	}
	ready, err := probe("https://"+address(port)+"/healthz", c.keys.cluster.CertPEM, KeyPair{})
	if err != nil {
		return err
	}
	return c.startProgram(ctx, controllerManagerName, ready, []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + c.pkiFile("controller-manager-serving.crt"),
		"--tls-private-key-file=" + c.pkiFile("controller-manager-serving.key"),
		"--client-ca-file=" + c.pkiFile("ca.crt"),
		"--requestheader-client-ca-file=" + c.pkiFile("front-proxy-ca.crt"),
		"--root-ca-file=" + c.pkiFile("ca.crt"),
		"--service-account-private-key-file=" + c.pkiFile("sa.key"),
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file=" + c.pkiFile("ca.crt"),
		"--cluster-signing-key-file=" + c.pkiFile("ca.key"),
		"--leader-elect=false",
		// With the default limits, garbage collection would be slow. kube-apiserver has no other load.
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--concurrent-gc-syncs=5",
		"--controllers=" + c.controllers(),
	})
}

// startProgram starts a program of the control plane and waits until it is ready.
func (c *Cluster) startProgram(
	ctx context.Context, name string, ready func(context.Context) error, args []string,
) error {
	return c.startProgramOf(ctx, c.assets, name, ready, args)
}

func (c *Cluster) startProgramOf(
	ctx context.Context, binDir, name string, ready func(context.Context) error, args []string,
) error {
	_, err := c.Run(ctx, filepath.Join(binDir, name), ready, []string{noMutationDetector}, args...)
	return err
}

// Run starts a program and waits until it is ready. Stop stops the programs in the reverse order of their start.
func (c *Cluster) Run(
	ctx context.Context, path string, ready func(context.Context) error, env []string, args ...string,
) (*Program, error) {
	begun := time.Now()
	program := c.newProgram(filepath.Base(path), path, ready, args)
	program.env = env
	if err := program.Start(ctx); err != nil {
		return program, err
	}
	c.say("%s is ready after %s", program.name, time.Since(begun).Round(pollInterval))
	return program, nil
}

// StartScheduler starts kube-scheduler and waits until it is ready. binDir is the folder that contains the executable.
func (c *Cluster) StartScheduler(ctx context.Context, binDir string) error {
	return c.startScheduler(ctx, binDir)
}

// Etcd returns the process of etcd.
func (c *Cluster) Etcd() *Program { return c.program(etcdName) }

// APIServer returns the process of kube-apiserver.
func (c *Cluster) APIServer() *Program { return c.program(kubeAPIServerName) }

// ControllerManager returns the process of kube-controller-manager, or nil if there is none.
func (c *Cluster) ControllerManager() *Program { return c.program(controllerManagerName) }

func (c *Cluster) program(name string) *Program {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.programs {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// newProgram adds a program to the cluster, but does not start it. Cluster.Stop stops the programs in the reverse
// order of the calls of newProgram.
func (c *Cluster) newProgram(name, path string, ready func(context.Context) error, args []string) *Program {
	program := &Program{
		name:         name,
		path:         path,
		args:         args,
		logFile:      filepath.Join(c.dir, logsDir, name+".log"),
		ready:        ready,
		startTimeout: startTimeout,
		stopTimeout:  stopTimeout,
		onExit:       c.reportExit,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.programs = append(c.programs, program)
	return program
}

func (c *Cluster) pkiFile(name string) string { return filepath.Join(c.dir, pkiDir, name) }

func (c *Cluster) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.log, format+"\n", args...)
}
