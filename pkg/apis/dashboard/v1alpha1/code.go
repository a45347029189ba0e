// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Code is the outcome of a request. The HTTP status is always 200; 0 means success.
type Code int32

// The codes of the contract, and CodeTooManyRequests beside them. CodeNames returns them all.
const (
	// CodeOK is success.
	CodeOK Code = 0
	// CodeRequired is a required field, query parameter or path value that is missing or empty; meta.field names it.
	CodeRequired Code = 40001
	// CodeInvalid is a value of the wrong type or form; meta.field names it.
	CodeInvalid Code = 40002
	// CodeUnauthenticated is no credential, or one that is not valid for any other reason than its end.
	CodeUnauthenticated Code = 40100
	// CodeTokenExpired is a genuine token that has expired, or a genuine access token whose session has ended.
	CodeTokenExpired Code = 40101
	// CodeTwoFactorRequired asks for a second factor.
	CodeTwoFactorRequired Code = 40102
	// CodeTwoFactorFailed is a wrong, expired or used one-time or recovery code.
	CodeTwoFactorFailed Code = 40103
	// CodeForbidden is an action that RBAC does not allow.
	CodeForbidden Code = 40300
	// CodeClusterForbidden is a cluster that the caller may not use, whether or not it exists.
	CodeClusterForbidden Code = 40301
	// CodeNamespaceForbidden is a namespace that the caller may not see, whether or not it exists.
	CodeNamespaceForbidden Code = 40302
	// CodeNotFound is an object, kind or route that does not exist.
	CodeNotFound Code = 40400
	// CodeUserNotFound is a KubeVisionUser that does not exist.
	CodeUserNotFound Code = 40401
	// CodeClusterNotFound is a cluster that is not registered.
	CodeClusterNotFound Code = 40402
	// CodeConflict is an object that exists already, or a state that forbids the action.
	CodeConflict Code = 40900
	// CodeStale is a stale resource version, or a field that another manager owns.
	CodeStale Code = 40901
	// CodeUnparseable is a manifest that cannot be parsed.
	CodeUnparseable Code = 42200
	// CodeRejected is an object that the cluster's API server refused.
	CodeRejected Code = 42201
	// CodeTooManyRequests asks to come back later; meta.retryAfterSeconds says when.
	CodeTooManyRequests Code = 42900
	// CodeInternal is anything unforeseen. The cause is in the server's log, under meta.requestId.
	CodeInternal Code = 50000
	// CodeUnreachable is a cluster whose API server does not answer, or not usefully.
	CodeUnreachable Code = 50200
)

// CodeNames returns all codes and their names in generated clients.
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
