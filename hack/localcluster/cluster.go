// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	pkiDir      = "pki"
	logsDir     = "logs"
	etcdDataDir = "etcd-data"
)

// Options configures a Cluster. The zero value suits tests.
type Options struct {
	// Assets is the folder of the control plane's programs. It defaults to the result of the function Assets.
	Assets string
	// Dir is the folder of certificates, logs and data. It defaults to a temporary folder that Stop removes.
	Dir string
	// Keep continues with the data and the CAs of an earlier run in Dir. Without it, they are removed.
	Keep bool
	// APIServerPort is the port of kube-apiserver; 0 selects a free one.
	APIServerPort int
	// Address is the IP address at which nodes and Pods reach kube-apiserver. It must not be a loopback address. If
	// Address is empty, kube-apiserver listens only on 127.0.0.1, and kube-controller-manager does not manage nodes.
	Address string
	// Log receives a line of progress for each step. By default progress is discarded.
	Log io.Writer
}

// Cluster is a running control plane.
type Cluster struct {
	assets    string
	dir       string
	removeDir bool
	keep      bool
	port      int
	address   string
	log       io.Writer
	keys      *pki
	exits     chan *ExitError
	// hasControllerManager is false only if custom assets do not include kube-controller-manager. KUBEBUILDER_ASSETS
	// selects custom assets.
	hasControllerManager bool

	mu       sync.Mutex
	programs []*Program
}

// Start starts a control plane and waits until it is ready. The context bounds the start; afterwards the cluster runs
// until Stop.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	c, err := newCluster(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func newCluster(ctx context.Context, options Options) (*Cluster, error) {
	c := &Cluster{assets: options.Assets, dir: options.Dir, keep: options.Keep, log: options.Log,
		address: options.Address, exits: make(chan *ExitError, 16)}
	if c.log == nil {
		c.log = io.Discard
	}
	var err error
	if c.port, err = pickPort(ctx, options.APIServerPort); err != nil {
		return nil, fmt.Errorf("choose the port of kube-apiserver: %w", err)
	}
	if c.assets == "" {
		if c.assets, err = Assets(ctx, c.log); err != nil {
			return nil, err
		}
	}
	_, statErr := os.Stat(filepath.Join(c.assets, controllerManagerName))
	c.hasControllerManager = statErr == nil
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepareDir(); err != nil {
		return err
	}
	etcdURL, err := c.startEtcd(ctx)
	if err != nil {
		return err
	}
	if err := c.startKubeAPIServer(ctx, etcdURL); err != nil {
		return err
	}
	if err := WriteKubeconfig(c.Config(), c.adminKubeconfig()); err != nil {
		return err
	}
	if !c.hasControllerManager {
		c.say("there is no kube-controller-manager in %s: nothing makes Pods or collects garbage", c.assets)
		return nil
	}
	return c.startControllerManager(ctx)
}

func (c *Cluster) prepareDir() error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "kubevision-cluster-")
		if err != nil {
			return fmt.Errorf("create a folder for the cluster: %w", err)
		}
		c.dir, c.removeDir = dir, true
	}
	absolute, err := filepath.Abs(c.dir)
	if err != nil {
		return fmt.Errorf("find the folder of the cluster: %w", err)
	}
	c.dir = absolute
	for _, name := range []string{pkiDir, logsDir, etcdDataDir, podsDir} {
		path := filepath.Join(c.dir, name)
		if name == logsDir || !c.keep {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("remove the data of an earlier run: %w", err)
			}
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("create a folder for the cluster: %w", err)
		}
	}
	keys := filepath.Join(c.dir, pkiDir)
	if c.keys, err = newPKI(keys); err != nil {
		return err
	}
	return c.keys.write(keys, c.nonLoopbackAddresses()...)
}

// Stop stops all programs, the last started first, and waits for them. A nil Cluster has no programs.
func (c *Cluster) Stop() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	programs := slices.Clone(c.programs)
	c.mu.Unlock()
	var failures []error
	for _, program := range slices.Backward(programs) {
		failures = append(failures, program.Stop())
	}
	if c.removeDir {
		if err := os.RemoveAll(c.dir); err != nil {
			failures = append(failures, fmt.Errorf("remove the folder of the cluster: %w", err))
		}
	}
	return errors.Join(failures...)
}

// Exits returns a channel that receives an ExitError when a program exits by itself. This includes the programs of
// KubeVision. For a nil Cluster, the channel is nil.
func (c *Cluster) Exits() <-chan *ExitError {
	if c == nil {
		return nil
	}
	return c.exits
}

func (c *Cluster) reportExit(err *ExitError) {
	select {
	case c.exits <- err:
	default: // Nobody receives; the first reports are sufficient to explain the failure.
	}
}

// Dir returns the folder with the certificates, logs and data of the cluster.
func (c *Cluster) Dir() string { return c.dir }

// KubectlPath returns the path of a kubectl of the cluster's version.
func (c *Cluster) KubectlPath() string { return filepath.Join(c.assets, "kubectl") }

// HasControllerManager returns true if the cluster runs kube-controller-manager. Without kube-controller-manager, no
// Pods are created for Deployments, and no garbage is collected.
func (c *Cluster) HasControllerManager() bool { return c.hasControllerManager }
