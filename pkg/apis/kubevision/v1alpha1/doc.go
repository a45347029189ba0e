// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 contains the types of KubeVision's custom resources: users, clusters, role bindings, sessions, login
// throttles and parameters of admission policies.
//
// All kinds are cluster-scoped. The spec of an object contains the desired state. The status contains the observed
// state, which controllers write, with Ready as the first condition.
//
// +kubebuilder:object:generate=true
// +groupName=kubevision.io
package v1alpha1
