// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane provides a control plane that the tests of a package in pkg share. The controllers run in the
// process of the tests.
package controlplane

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/controllers"
	"github.com/kubevision-io/kubevision/pkg/controllers/cluster"
	"github.com/kubevision-io/kubevision/pkg/controllers/objectquota"
	"github.com/kubevision-io/kubevision/pkg/controllers/rolebinding"
)

const (
	startTimeout       = 5 * time.Minute
	establishedTimeout = time.Minute
	keyPeriod          = 30 * 24 * time.Hour
)

// Shared is the control plane of a test package. It starts when a test first needs it. It contains KubeVision's
// CustomResourceDefinitions and namespace, but no admission policies. KubeVision's programs do not run.
type Shared struct {
	mu      sync.Mutex
	dir     string
	cluster *localcluster.Cluster
	client  client.Client
	started bool
	err     error

	controllersStarted bool
	controllersErr     error
	stopControllers    context.CancelFunc
	log                logBuffer
}

// Run runs the tests of a package, and stops the control plane and the controllers. It returns the exit code.
func (s *Shared) Run(m *testing.M) (code int) {
	flag.Parse()
	klog.LogToStderr(false)
	klog.SetOutput(&s.log)
	ctrl.SetLogger(klog.Background())
	defer func() {
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			code = max(code, 1)
		}
	}()
	return m.Run()
}

func (s *Shared) stop() error {
	if s.stopControllers != nil {
		s.stopControllers()
	}
	if s.cluster == nil {
		return nil
	}
	return errors.Join(s.cluster.Stop(), os.RemoveAll(s.dir))
}

// Client returns a client with the rights of a cluster administrator. With -short, it skips the test.
func (s *Shared) Client(tb testing.TB) client.Client {
	tb.Helper()
	if testing.Short() {
		tb.Skip("the test needs a control plane, and -short was given")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.started = true
		s.err = s.start()
	}
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.client
}

// Cluster returns the control plane. With -short, it skips the test.
func (s *Shared) Cluster(tb testing.TB) *localcluster.Cluster {
	tb.Helper()
	s.Client(tb)
	return s.cluster
}

func (s *Shared) start() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if s.dir, err = os.MkdirTemp("", "kubevision-test-"); err != nil {
		return fmt.Errorf("creating a directory: %w", err)
	}
	if s.cluster, err = localcluster.Start(ctx, localcluster.Options{Dir: s.dir}); err != nil {
		return fmt.Errorf("starting a control plane: %w", err)
	}
	if err := applyCRDs(ctx, s.cluster); err != nil {
		return err
	}
	types := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(types), kubevisionv1alpha1.AddToScheme(types)); err != nil {
		return fmt.Errorf("building a scheme: %w", err)
	}
	if s.client, err = client.New(s.cluster.Config(), client.Options{Scheme: types}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: localcluster.Namespace}}
	if err := s.client.Create(ctx, namespace); err != nil {
		return fmt.Errorf("creating the namespace: %w", err)
	}
	return nil
}

// applyCRDs applies KubeVision's CustomResourceDefinitions, and waits until they are established.
func applyCRDs(ctx context.Context, c *localcluster.Cluster) error {
	root, err := localcluster.ModuleRoot()
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, filepath.Join(root, "config", "crd")); err != nil {
		return err
	}
	return c.WaitForCondition(ctx, establishedTimeout, schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	}, "Established")
}

// Controllers starts all controllers in this process if they do not run yet, and returns a client as Client does. With
// -short, it skips the test.
func (s *Shared) Controllers(tb testing.TB) client.Client {
	tb.Helper()
	c := s.Client(tb)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.controllersStarted {
		s.controllersStarted = true
		s.controllersErr = s.startControllers()
	}
	if s.controllersErr != nil {
		tb.Fatal(s.controllersErr)
	}
	return c
}

func (s *Shared) startControllers() error {
	config := rest.CopyConfig(s.cluster.Config())
	config.QPS = -1
	types, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: types, Cache: controllers.CacheOptions(), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return fmt.Errorf("creating a manager: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stopControllers = cancel
	if err := controllers.Setup(ctx, mgr, controllers.Options{
		SigningKeyPeriod: keyPeriod,
		SessionLimits:    sessionindex.Limits{PerUser: sessionindex.DefaultPerUser, Total: sessionindex.DefaultTotal},
		ObjectLimits:     objectquota.DefaultLimits(), MemberCacheBytes: clusters.DefaultMemberCacheBytes,
		ConcurrentClusterSyncs:     cluster.DefaultConcurrency,
		ConcurrentRoleBindingSyncs: rolebinding.DefaultConcurrency,
	}); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	s.stopControllers = func() {
		cancel()
		if err := <-done; err != nil {
			fmt.Fprintln(os.Stderr, "error: stopping the controllers:", err)
		}
	}
	return nil
}

// Guard checks the log of the test process at the end of the test. The test fails if the process has logged one of the
// texts after the call of Guard.
func (s *Shared) Guard(tb testing.TB, texts ...string) {
	tb.Helper()
	begin := len(s.log.String())
	tb.Cleanup(func() {
		for line := range strings.Lines(s.log.String()[begin:]) {
			for _, text := range texts {
				if strings.Contains(line, text) {
					tb.Errorf("the log contains %q: %.500s", text, line)
				}
			}
		}
	})
}

// logBuffer is a buffer to which several goroutines write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer. It appends a line.
func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(line)
	return len(line), nil
}

// String returns all lines.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
