// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName is the API group under which kube-apiserver serves the dashboard's API.
const GroupName = "dashboard.kubevision.io"

// SchemeGroupVersion is the group and version of the dashboard's API.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

const (
	// RootPath is the base path of the API. It is the same for requests through kube-apiserver and for direct requests.
	RootPath = "/apis/" + GroupName + "/v1alpha1"
	// DirectRootPath is a short alias of the base path /apis/dashboard.kubevision.io/v1alpha1. It works only for
	// requests that do not pass through kube-apiserver.
	DirectRootPath = "/api/v1"
)

const (
	// TokenHeader is the header with an access token, for requests whose Authorization header contains a credential for
	// kube-apiserver. It has precedence over all other credentials.
	TokenHeader = "X-KubeVision-Token" //nolint:gosec // a header's name, not a credential
	// CodeHeader is the header with a one-time code of the caller's second factor. Sensitive requests require it.
	CodeHeader = "X-KubeVision-TOTP"
	// CodeField is the name of a field at the top level of JSON bodies. Clients may send a one-time code in this field
	// instead of the header X-KubeVision-TOTP.
	CodeField = "totpCode"
	// DeviceHeader is the header with the device token of an earlier login from the same client.
	DeviceHeader = "X-KubeVision-Device"
	// RequestIDHeader is the response header with the value of meta.requestId.
	RequestIDHeader = "X-Request-Id"
)
