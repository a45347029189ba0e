// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName is the API group under which kube-apiserver proxies the dashboard's API.
const GroupName = "dashboard.kubevision.io"

// SchemeGroupVersion is the group and version of the dashboard's API.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

const (
	// RootPath is the base path of the API, through kube-apiserver or direct.
	RootPath = "/apis/" + GroupName + "/v1alpha1"
	// DirectRootPath is the base path that dashboards use when they talk to the server directly.
	DirectRootPath = "/api/v1"
)

const (
	// TokenHeader carries an access token where the Authorization header belongs to kube-apiserver. Where it is present, it decides
	// who the caller is.
	TokenHeader = "X-KubeVision-Token" //nolint:gosec // a header's name, not a credential
	// CodeHeader carries a fresh code of the caller's second factor, which sensitive operations ask for.
	CodeHeader = "X-KubeVision-TOTP"
	// CodeField is another place for that code: at the top level of a body that is a JSON object.
	CodeField = "totpCode"
	// DeviceHeader carries the device token of an earlier login.
	DeviceHeader = "X-KubeVision-Device"
	// RequestIDHeader carries meta.requestId of the response.
	RequestIDHeader = "X-Request-Id"
)
