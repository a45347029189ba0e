// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Code is the result of a request. The HTTP status is always 200; code 0 means success.
type Code int32

// Values of Code.
const (
	// CodeOK is success.
	CodeOK Code = 0
	// CodeRequired is returned if a required field, query parameter or path value is missing or empty. In the response,
	// meta.field is the name of the missing value.
	CodeRequired Code = 40001
	// CodeInvalid is returned if a field, query parameter, path value or header has the wrong type or form. In the
	// response, meta.field is the name of the invalid value.
	CodeInvalid Code = 40002
	// CodeUnauthenticated is returned if the credential is missing, or is invalid for a reason other than its expiry.
	CodeUnauthenticated Code = 40100
	// CodeTokenExpired is returned if the token has expired, or if the session of the token has ended. For a token with
	// an invalid signature, CodeUnauthenticated is returned instead.
	CodeTokenExpired Code = 40101
	// CodeTwoFactorRequired is returned if the request requires a code of the caller's second factor, or if the caller
	// must first set up a second factor.
	CodeTwoFactorRequired Code = 40102
	// CodeTwoFactorFailed is returned if a one-time code or recovery code is wrong, has expired, or was used before.
	CodeTwoFactorFailed Code = 40103
	// CodeForbidden is returned if RBAC denies the action.
	CodeForbidden Code = 40300
	// CodeClusterForbidden is returned for a cluster that the caller may not use, whether or not it exists.
	CodeClusterForbidden Code = 40301
	// CodeNamespaceForbidden is returned for a namespace that the caller may not see, whether or not it exists.
	CodeNamespaceForbidden Code = 40302
	// CodeNotFound is returned if an object, kind or route does not exist.
	CodeNotFound Code = 40400
	// CodeUserNotFound is returned if a KubeVisionUser does not exist.
	CodeUserNotFound Code = 40401
	// CodeClusterNotFound is returned if a cluster is not registered.
	CodeClusterNotFound Code = 40402
	// CodeConflict is returned if an object exists already, or if the current state prevents the action.
	CodeConflict Code = 40900
	// CodeStale is returned if the resourceVersion in the request is not the current one, or if another field manager
	// owns an applied field.
	CodeStale Code = 40901
	// CodeUnparseable is returned for a manifest that cannot be parsed.
	CodeUnparseable Code = 42200
	// CodeRejected is returned for an object that the cluster's API server has rejected.
	CodeRejected Code = 42201
	// CodeTooManyRequests is returned if the client must wait. meta.retryAfterSeconds is the number of seconds.
	CodeTooManyRequests Code = 42900
	// CodeInternal is returned for an unexpected error. The server logs the cause and the request ID, which is also in
	// meta.requestId of the response.
	CodeInternal Code = 50000
	// CodeUnreachable is returned if the cluster's API server does not respond, or if its response is not usable.
	CodeUnreachable Code = 50200
)

// CodeNames returns all codes with the names that they have in generated clients.
func CodeNames() map[Code]string {
	return map[Code]string{
		CodeOK:                 "OK",
		CodeRequired:           "Required",
		CodeInvalid:            "Invalid",
		CodeUnauthenticated:    "Unauthenticated",
		CodeTokenExpired:       "TokenExpired",
		CodeTwoFactorRequired:  "TwoFactorRequired",
		CodeTwoFactorFailed:    "TwoFactorFailed",
		CodeForbidden:          "Forbidden",
		CodeClusterForbidden:   "ClusterForbidden",
		CodeNamespaceForbidden: "NamespaceForbidden",
		CodeNotFound:           "NotFound",
		CodeUserNotFound:       "UserNotFound",
		CodeClusterNotFound:    "ClusterNotFound",
		CodeConflict:           "Conflict",
		CodeStale:              "Stale",
		CodeUnparseable:        "Unparseable",
		CodeRejected:           "Rejected",
		CodeTooManyRequests:    "TooManyRequests",
		CodeInternal:           "Internal",
		CodeUnreachable:        "Unreachable",
	}
}
