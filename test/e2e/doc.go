// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests a release in whole clusters on one machine: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kubelet, containerd and kube-proxy. "make e2e" runs it, as root on Linux. Everything runs in a
// sandbox (package sandbox), and ends with it.
package e2e
