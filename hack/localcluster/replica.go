// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// APIServer is one process of kubevision-apiserver.
type APIServer struct {
	*Program

	port int
}

// Endpoint returns the address of the API server.
func (a *APIServer) Endpoint() string { return endpoint(a.port) }

// StartAPIServer starts another kubevision-apiserver, and waits until it is ready. Port 0 selects a free port. The
// extra arguments follow all others and therefore override them.
func (k *KubeVision) StartAPIServer(ctx context.Context, port int, extra ...string) (*APIServer, error) {
	return k.startAPIServer(ctx, k.binary(apiServerProgram), port, extra...)
}

// StartAPIServerOf starts a kubevision-apiserver of another version on a free port. program is its path.
func (k *KubeVision) StartAPIServerOf(ctx context.Context, program string) (*APIServer, error) {
	return k.startAPIServer(ctx, program, 0)
}

func (k *KubeVision) startAPIServer(
	ctx context.Context, program string, port int, extra ...string,
) (*APIServer, error) {
	port, err := pickPort(ctx, port)
	if err != nil {
		return nil, fmt.Errorf("choose the port of %s: %w", apiServerProgram, err)
	}
	kubeconfig, err := k.kubeconfig(ctx, apiServerProgram)
	if err != nil {
		return nil, err
	}
	ready, err := probe(endpoint(port)+"/readyz", k.CAPEM(), KeyPair{})
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	args := append([]string{
		"--kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + filepath.Join(k.cluster.dir, apiServerProgram+".crt"),
		"--tls-private-key-file=" + filepath.Join(k.cluster.dir, apiServerProgram+".key"),
		clustersOnLoopback,
	}, slices.Concat(k.options.APIServerArgs, extra)...)
	server := k.addReplica(program, port, ready, args)
	if err := k.confine(server.Program, "apiserver"); err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	k.cluster.say("%s is ready after %s", server.Name(), time.Since(begun).Round(pollInterval))
	return server, nil
}

// addReplica adds a process with its own log file.
func (k *KubeVision) addReplica(program string, port int, ready func(context.Context) error, args []string) *APIServer {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := apiServerProgram
	if count := len(k.replicas); count > 0 {
		name += "-" + strconv.Itoa(count+1)
	}
	server := &APIServer{
		Program: k.cluster.newProgram(name, program, ready, args),
		port:    port,
	}
	k.replicas = append(k.replicas, server)
	return server
}
