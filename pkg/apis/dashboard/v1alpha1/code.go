// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Code is the result of a request. The HTTP status is always 200; code 0 means success.
type Code int32

// Codes of the contract, and CodeTooManyRequests. CodeNames returns all of them.
const (
	// CodeOK is success.
	CodeOK Code = 0
	// CodeRequired is returned if a required field, query parameter or path value is missing or empty; meta.field
	// names it.
	CodeRequired Code = 40001
	// CodeInvalid is returned for a value of the wrong type or form; meta.field names it.
	CodeInvalid Code = 40002
	// CodeUnauthenticated is returned if the credential is missing, or is invalid for a reason other than its expiry.
	CodeUnauthenticated Code = 40100
	// CodeTokenExpired is returned for a genuine token that has expired, or a genuine access token whose session has
	// ended.
	CodeTokenExpired Code = 40101
	// CodeTwoFactorRequired is returned if a second factor is required.
	CodeTwoFactorRequired Code = 40102
	// CodeTwoFactorFailed is returned for a wrong, expired or used one-time or recovery code.
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
	// CodeStale is returned for a stale resource version, or for a field that another manager owns.
	CodeStale Code = 40901
	// CodeUnparseable is returned for a manifest that cannot be parsed.
	CodeUnparseable Code = 42200
	// CodeRejected is returned for an object that the cluster's API server has rejected.
	CodeRejected Code = 42201
	// CodeTooManyRequests is returned if the client must wait; meta.retryAfterSeconds is the time to wait.
	CodeTooManyRequests Code = 42900
	// CodeInternal is returned for an unexpected error. The server's log contains the cause, under meta.requestId.
	CodeInternal Code = 50000
	// CodeUnreachable is returned if the cluster's API server does not respond, or if its response is not usable.
	CodeUnreachable Code = 50200
)

// CodeNames returns all codes with their names in generated clients.
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
