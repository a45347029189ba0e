// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ReadyCondition is the type of the condition that summarizes the state of an object. The condition is True when the
// whole spec is in force. Every kind with a status has this condition.
const ReadyCondition = "Ready"

// Conditions of a KubeVisionUser.
const (
	// UserCredentialsCondition is True if the user's password was imported from the referenced Secret.
	UserCredentialsCondition = "CredentialsReady"
)

// Conditions of a KubeVisionCluster.
const (
	// ClusterReachableCondition is True if the cluster's API server has responded to the last probe.
	ClusterReachableCondition = "Reachable"
	// ClusterCredentialsCondition is True if the API server has accepted the registered credentials.
	ClusterCredentialsCondition = "CredentialsValid"
	// ClusterImpersonationCondition is True if the impersonating account exists on the cluster.
	ClusterImpersonationCondition = "ImpersonationReady"
	// ClusterReadCacheCondition is True if the account that fills the read cache exists on the cluster. Without the
	// account, all reads call the cluster's API server. Ready does not depend on this condition.
	ClusterReadCacheCondition = "ReadCache"
	// ClusterIdentityConflictCondition is True if another registration claims to be the same cluster, and there is no
	// proof that both connect to the same cluster. The newer of the two registrations is then not Ready, with
	// ReasonIdentityConflict, and is not used. The condition is absent if there is no conflict.
	ClusterIdentityConflictCondition = "IdentityConflict"
)

// Conditions of a KubeVisionRoleBinding.
const (
	// RoleBindingSubjectsCondition is True if every KubeVisionUser that the binding names exists.
	RoleBindingSubjectsCondition = "SubjectsResolved"
	// RoleBindingAppliedCondition is True if the binding is in force on every selected cluster that is reachable.
	RoleBindingAppliedCondition = "Applied"
	// RoleBindingClustersCondition is True if every selected cluster is reachable.
	RoleBindingClustersCondition = "ClustersReachable"
)

// Reasons of the conditions above.
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
