// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName is the API group under which kube-apiserver serves the dashboard's API.
const GroupName = "dashboard.kubevision.io"

// SchemeGroupVersion is the group and version of the dashboard's API.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

const (
	// RootPath is the base path of the API, through kube-apiserver or direct.
	RootPath = "/apis/" + GroupName + "/v1alpha1"
	// DirectRootPath is the base path that dashboards use if they call the server directly.
	DirectRootPath = "/api/v1"
)

const (
	// TokenHeader contains an access token if kube-apiserver uses the Authorization header. It takes precedence over
	// other credentials.
	TokenHeader = "X-KubeVision-Token" //nolint:gosec // a header's name, not a credential
	// CodeHeader is the header with a fresh code of the caller's second factor. Sensitive operations require it.
	CodeHeader = "X-KubeVision-TOTP"
	// CodeField is an alternative to CodeHeader at the top level of a body that is a JSON object.
	CodeField = "totpCode"
	// DeviceHeader contains the device token of an earlier login.
	DeviceHeader = "X-KubeVision-Device"
	// RequestIDHeader contains meta.requestId of the response.
	RequestIDHeader = "X-Request-Id"
)
