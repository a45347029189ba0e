// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the custom resources of KubeVision: users, clusters, role bindings and sessions.
//
// All kinds are cluster-scoped. Their specs say what somebody wants; their statuses say what the controllers made of it, with
// Ready as the first condition.
//
// +kubebuilder:object:generate=true
// +groupName=kubevision.io
package v1alpha1
