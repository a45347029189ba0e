// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ReadyCondition summarises an object: True when everything that its spec asks for is in force. Every kind with a status has it,
// and sets it first.
const ReadyCondition = "Ready"

// Conditions of a KubeVisionUser.
const (
	// UserCredentialsCondition says whether the user's password was taken over from the referenced Secret.
	UserCredentialsCondition = "CredentialsReady"
)

// Conditions of a KubeVisionCluster.
const (
	// ClusterReachableCondition says whether the last probe got an answer from the cluster's API server.
	ClusterReachableCondition = "Reachable"
	// ClusterCredentialsCondition says whether the API server accepted the registered credentials.
	ClusterCredentialsCondition = "CredentialsValid"
	// ClusterImpersonationCondition says whether the account that acts for users is in place on the cluster.
	ClusterImpersonationCondition = "ImpersonationReady"
	// ClusterReadCacheCondition says whether the account that fills the read cache is in place on the cluster. Reads of a
	// cluster without the account are live. A cluster is Ready without it.
	ClusterReadCacheCondition = "ReadCache"
	// ClusterIdentityConflictCondition says that two registrations claim to be one cluster, without proof. The newer one is not Ready, with
	// ReasonIdentityConflict, and not used. The condition is absent where there is no conflict.
	ClusterIdentityConflictCondition = "IdentityConflict"
)

// Conditions of a KubeVisionRoleBinding.
const (
	// RoleBindingSubjectsCondition says whether every KubeVisionUser that the binding names exists.
	RoleBindingSubjectsCondition = "SubjectsResolved"
	// RoleBindingAppliedCondition says whether the binding is in force on every cluster that it selects and that can be
	// reached.
	RoleBindingAppliedCondition = "Applied"
	// RoleBindingClustersCondition says whether every cluster that the binding selects can be reached.
	RoleBindingClustersCondition = "ClustersReachable"
)

// Reasons, shared by the conditions above.
const (
	ReasonReady               = "Ready"
	ReasonUserDisabled        = "UserDisabled"
	ReasonNoPassword          = "NoPassword"
	ReasonPasswordSet         = "PasswordSet"
	ReasonSecretNotFound      = "SecretNotFound"
	ReasonSecretInvalid       = "SecretInvalid"
	ReasonNameConflict        = "NameConflict"
	ReasonProbeSucceeded      = "ProbeSucceeded"
	ReasonProbeFailed         = "ProbeFailed"
	ReasonUnauthorized        = "Unauthorized"
	ReasonForbidden           = "Forbidden"
	ReasonAddressRefused      = "AddressRefused"
	ReasonLimitExceeded       = "LimitExceeded"
	ReasonExpiresSoon         = "ExpiresSoon"
	ReasonExpired             = "Expired"
	ReasonClusterChanged      = "ClusterChanged"
	ReasonIdentityConflict    = "IdentityConflict"
	ReasonCleanupFailed       = "CleanupFailed"
	ReasonLeftBehind          = "LeftBehind"
	ReasonAccepted            = "CredentialsAccepted"
	ReasonNotConnected        = "NotConnected"
	ReasonConnected           = "Connected"
	ReasonImpersonatorApplied = "ImpersonatorApplied"
	ReasonReaderApplied       = "ReaderApplied"
	ReasonDisabled            = "Disabled"
	ReasonApplyFailed         = "ApplyFailed"
	ReasonApplied             = "Applied"
	ReasonClusterNotFound     = "ClusterNotFound"
	ReasonInvalidSelector     = "InvalidSelector"
	ReasonNoClusterMatches    = "NoClusterMatches"
	ReasonNamespaceNotFound   = "NamespaceNotFound"
	ReasonRoleNotFound        = "RoleNotFound"
	ReasonSubjectsResolved    = "SubjectsResolved"
	ReasonSubjectNotFound     = "SubjectNotFound"
	ReasonDependencyNotReady  = "DependencyNotReady"
	ReasonApplying            = "Applying"
	ReasonTooLarge            = "TooLarge"
	ReasonRevocationFailed    = "RevocationFailed"
	ReasonNamespaceProtected  = "NamespaceProtected"
)
