// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 contains KubeVision's custom resources: users, clusters, role bindings, sessions, login throttles
// and parameters of admission policies.
//
// All kinds are cluster-scoped. A spec contains the desired state; a status contains the result of the controllers,
// with Ready as the first condition.
//
// +kubebuilder:object:generate=true
// +groupName=kubevision.io
package v1alpha1
