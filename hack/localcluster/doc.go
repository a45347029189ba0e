// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package localcluster runs a Kubernetes control plane (etcd, kube-apiserver and kube-controller-manager, and on
// request a scheduler and simulated nodes) and the two KubeVision programs as child processes on the loopback
// interface.
//
// The tests and "make run" use it. It provides a real API server with a real aggregation layer, admission, RBAC and
// garbage collection.
package localcluster
