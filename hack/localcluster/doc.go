// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package localcluster runs a Kubernetes control plane (etcd, kube-apiserver
// and kube-controller-manager, but no scheduler and no node) and the two
// KubeVision programs as child processes on the loopback interface.
//
// The tests and "make run" use it: what they talk to is a real API server with
// a real aggregation layer, real admission, RBAC and garbage collection.
package localcluster
