// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests a release in complete clusters on one machine: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kubelet, containerd and kube-proxy. "make e2e" runs it as root on Linux. All programs run in a
// sandbox (package sandbox), and end with it.
package e2e
