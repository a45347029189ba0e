// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	// Namespace is the namespace in which KubeVision is installed.
	Namespace = "kubevision-system"

	apiServerProgram         = "kubevision-apiserver"
	controllerManagerProgram = "kubevision-controller-manager"
	servingSecret            = "kubevision-apiserver-tls"

	// clustersOnLoopback is a flag that denies only link-local addresses. With the default value of the flag, clusters
	// with loopback addresses could not be registered.
	clustersOnLoopback = "--cluster-addresses-denied=169.254.0.0/16"

	servingTimeout = time.Minute
)

// KubeVisionOptions configures an installation of KubeVision.
type KubeVisionOptions struct {
	// BinDir contains the programs kubevision-apiserver and kubevision-controller-manager.
	BinDir string
	// ConfigDir is the folder of the installation's manifests. It defaults to the folder config of the repository.
	ConfigDir string
	// Port is the port of kubevision-apiserver; 0 selects a free one.
	Port int
	// APIServerArgs and ControllerManagerArgs are appended to the default arguments.
	APIServerArgs         []string
	ControllerManagerArgs []string
	// ConfineMemory runs the programs with the memory limits of their Deployments: with the same GOMEMLIMIT and GOGC,
	// and with the limit of the container as a resource limit of the process. It works on Linux only.
	ConfineMemory bool
}

// KubeVision is an installation whose programs run outside of the cluster, each as its own ServiceAccount. Clients
// reach them through the aggregation layer.
type KubeVision struct {
	cluster           *Cluster
	client            kubernetes.Interface
	options           KubeVisionOptions
	port              int
	metricsPort       int
	controllerManager *Program
	apiServer         *APIServer

	mu       sync.Mutex
	replicas []*APIServer
	caPEM    []byte
}

// StartKubeVision installs KubeVision in the cluster, starts its programs and waits until its API is available.
func (c *Cluster) StartKubeVision(ctx context.Context, options KubeVisionOptions) (*KubeVision, error) {
	k, err := c.newKubeVision(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := k.start(ctx); err != nil {
		return nil, errors.Join(err, k.Stop())
	}
	return k, nil
}

func (c *Cluster) newKubeVision(ctx context.Context, options KubeVisionOptions) (*KubeVision, error) {
	if options.ConfigDir == "" {
		root, err := ModuleRoot()
		if err != nil {
			return nil, err
		}
		options.ConfigDir = filepath.Join(root, "config")
	}
	port, err := pickPort(ctx, options.Port)
	if err != nil {
		return nil, fmt.Errorf("choose the port of %s: %w", apiServerProgram, err)
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	return &KubeVision{cluster: c, client: client, options: options, port: port}, nil
}

func (k *KubeVision) start(ctx context.Context) error {
	begun := time.Now()
	if err := k.install(ctx); err != nil {
		return err
	}
	k.cluster.say("KubeVision is installed after %s", time.Since(begun).Round(pollInterval))
	if err := k.startControllerManager(ctx); err != nil {
		return err
	}
	if err := k.controllerManager.await(ctx, servingTimeout, "wait for the Secret "+servingSecret,
		k.ExportServingCertificate); err != nil {
		return err
	}
	server, err := k.StartAPIServer(ctx, k.port)
	if err != nil {
		return err
	}
	k.apiServer = server
	if err := k.WaitAvailable(ctx); err != nil {
		return err
	}
	return k.waitAdmission(ctx)
}

func (k *KubeVision) install(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if _, err := k.client.CoreV1().Namespaces().
		Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the namespace %s: %w", Namespace, err)
	}
	overlay := filepath.Join(k.cluster.dir, "overlay")
	if err := writeOverlay(overlay, k.options.ConfigDir, k.port); err != nil {
		return err
	}
	// The CustomResourceDefinitions are applied first. kube-apiserver looks up the kinds in admission policies when it
	// first needs them, and repeats a failed lookup only after 30 seconds.
	if err := k.cluster.Apply(ctx, filepath.Join(k.options.ConfigDir, "crd")); err != nil {
		return err
	}
	definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions"}
	if err := k.cluster.WaitForCondition(ctx, servingTimeout, definitions, "Established"); err != nil {
		return err
	}
	return k.cluster.Apply(ctx, overlay)
}

// waitAdmission waits until kube-apiserver can evaluate the admission policies. Until then, kube-apiserver rejects the
// requests that the policies match, such as a change of a namespace.
func (k *KubeVision) waitAdmission(ctx context.Context) error {
	begun := time.Now()
	patch := []byte(`{"metadata":{"annotations":{"` + askedAnnotation + `":"` + begun.Format(time.RFC3339Nano) + `"}}}`)
	err := Poll(ctx, servingTimeout, "wait for the admission policies", func(ctx context.Context) error {
		options := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
		_, err := k.client.CoreV1().Namespaces().Patch(ctx, Namespace, types.MergePatchType, patch, options)
		return err
	})
	if err != nil {
		return err
	}
	k.cluster.say("the admission policies are in force after %s", time.Since(begun).Round(pollInterval))
	return nil
}

func (k *KubeVision) startControllerManager(ctx context.Context) error {
	var err error
	if k.metricsPort, err = FreePort(ctx); err != nil {
		return err
	}
	k.controllerManager, err = k.runControllerManager(ctx, controllerManagerProgram, k.metricsPort,
		k.options.ControllerManagerArgs)
	return err
}

// StartControllerManager starts another replica of kubevision-controller-manager.
func (k *KubeVision) StartControllerManager(ctx context.Context, extra ...string) (*Program, error) {
	metricsPort, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	extra = slices.Concat(k.options.ControllerManagerArgs, extra)
	return k.runControllerManager(ctx, controllerManagerProgram+"-2", metricsPort, extra)
}

// runControllerManager starts kubevision-controller-manager and waits until it is ready. If the program does not become
// ready, it returns both the program and an error.
func (k *KubeVision) runControllerManager(
	ctx context.Context, name string, metricsPort int, extra []string,
) (*Program, error) {
	healthPort, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := k.kubeconfig(ctx, controllerManagerProgram)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	args := append([]string{
		"--kubeconfig=" + kubeconfig,
		"--health-probe-bind-address=" + address(healthPort),
		"--metrics-bind-address=" + address(metricsPort),
		"--serving-cert-extra-names=localhost," + loopback,
		clustersOnLoopback,
	}, extra...)
	ready := probePlain("http://" + address(healthPort) + "/readyz")
	program := k.cluster.newProgram(name, k.binary(controllerManagerProgram), ready, args)
	if err := k.confine(program, "controller-manager"); err != nil {
		return program, err
	}
	if err := program.Start(ctx); err != nil {
		return program, err
	}
	k.cluster.say("%s is ready after %s", name, time.Since(begun).Round(pollInterval))
	return program, nil
}

// ExportServingCertificate copies the serving certificate from its Secret to the files that kubevision-apiserver
// reads, as a kubelet does for a mounted Secret.
func (k *KubeVision) ExportServingCertificate(ctx context.Context) error {
	secret, err := k.client.CoreV1().Secrets(Namespace).Get(ctx, servingSecret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get the serving certificate: %w", err)
	}
	for _, key := range []string{"ca.crt", "tls.crt", "tls.key"} {
		if len(secret.Data[key]) == 0 {
			return fmt.Errorf("the Secret %s has no key %s", servingSecret, key)
		}
	}
	pair := KeyPair{CertPEM: secret.Data["tls.crt"], KeyPEM: secret.Data["tls.key"]}
	if err := pair.write(k.cluster.dir, apiServerProgram); err != nil {
		return err
	}
	if err := os.WriteFile(k.CAFile(), secret.Data["ca.crt"], 0o600); err != nil {
		return fmt.Errorf("write the CA of the serving certificate: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.caPEM = secret.Data["ca.crt"]
	return nil
}

// kubeconfig writes a kubeconfig file for a ServiceAccount and returns the path of the file.
func (k *KubeVision) kubeconfig(ctx context.Context, account string) (string, error) {
	config, err := k.cluster.ServiceAccountConfig(ctx, Namespace, account)
	if err != nil {
		return "", err
	}
	path := filepath.Join(k.cluster.dir, account+".kubeconfig")
	return path, WriteKubeconfig(config, path)
}

func (k *KubeVision) binary(name string) string { return filepath.Join(k.options.BinDir, name) }

// Stop stops KubeVision's programs. The control plane continues to run.
func (k *KubeVision) Stop() error {
	k.mu.Lock()
	replicas := slices.Clone(k.replicas)
	k.mu.Unlock()
	var failures []error
	for _, replica := range slices.Backward(replicas) {
		failures = append(failures, replica.Stop())
	}
	if k.controllerManager != nil {
		failures = append(failures, k.controllerManager.Stop())
	}
	return errors.Join(failures...)
}

// Endpoint returns the address of the first kubevision-apiserver.
func (k *KubeVision) Endpoint() string { return endpoint(k.port) }

// MetricsEndpoint returns the address of the metrics of kubevision-controller-manager.
func (k *KubeVision) MetricsEndpoint() string { return endpoint(k.metricsPort) }

// CAFile returns the path of the file with the CA of kubevision-apiserver's serving certificate.
func (k *KubeVision) CAFile() string { return filepath.Join(k.cluster.dir, apiServerProgram+"-ca.crt") }

// CAPEM returns the content of CAFile.
func (k *KubeVision) CAPEM() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.caPEM)
}

// APIServer returns the first kubevision-apiserver, to which the APIService points.
func (k *KubeVision) APIServer() *APIServer { return k.apiServer }

// ControllerManager returns the program kubevision-controller-manager.
func (k *KubeVision) ControllerManager() *Program { return k.controllerManager }

func endpoint(port int) string { return "https://localhost:" + strconv.Itoa(port) }
