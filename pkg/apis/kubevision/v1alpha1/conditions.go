// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ReadyCondition is the type of the condition that summarizes the state of an object. The condition is True when the
// whole spec is in force. Every kind with a status has this condition.
const ReadyCondition = "Ready"

// Types of the conditions of a KubeVisionUser.
const (
	// UserCredentialsCondition is the type of the condition that is True if the user's password was imported from the
	// referenced Secret.
	UserCredentialsCondition = "CredentialsReady"
)

// Types of the conditions of a KubeVisionCluster.
const (
	// ClusterReachableCondition is the type of the condition that is True if the cluster's API server has responded to
	// the last probe.
	ClusterReachableCondition = "Reachable"
	// ClusterCredentialsCondition is the type of the condition that is True if the cluster's API server has accepted
	// the registered credentials.
	ClusterCredentialsCondition = "CredentialsValid"
	// ClusterImpersonationCondition is the type of the condition that is True if the ServiceAccount with which
	// KubeVision impersonates users exists on the cluster.
	ClusterImpersonationCondition = "ImpersonationReady"
	// ClusterReadCacheCondition is the type of the condition that is True if the ServiceAccount with which KubeVision
	// fills its read cache exists on the cluster. Without this ServiceAccount, all reads call the cluster's API server.
	// The condition Ready does not depend on this condition.
	ClusterReadCacheCondition = "ReadCache"
	// ClusterIdentityConflictCondition is the type of the condition that is True if several KubeVisionClusters claim to
	// be the same Kubernetes cluster, without proof. KubeVision uses only one of them. This is the host cluster, or the
	// KubeVisionCluster that was confirmed first if the host cluster is not among them. The condition Ready of the
	// others is False with ReasonIdentityConflict. If there is no conflict, the condition IdentityConflict is absent.
	ClusterIdentityConflictCondition = "IdentityConflict"
)

// Types of the conditions of a KubeVisionRoleBinding.
const (
	// RoleBindingSubjectsCondition is the type of the condition that is True if all KubeVisionUsers among the subjects
	// of the binding exist.
	RoleBindingSubjectsCondition = "SubjectsResolved"
	// RoleBindingAppliedCondition is the type of the condition that is True if the binding is in force on every
	// selected cluster that is reachable.
	RoleBindingAppliedCondition = "Applied"
	// RoleBindingClustersCondition is the type of the condition that is True if every selected cluster is reachable.
	RoleBindingClustersCondition = "ClustersReachable"
)

// Reasons of the conditions of KubeVisionUsers, KubeVisionClusters and KubeVisionRoleBindings.
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
