// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package names defines the names of the objects that KubeVision's programs create or read in a cluster.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// Namespace is KubeVision's namespace. It is fixed, so that a reference to a Secret always refers to this
	// namespace.
	Namespace = "kubevision-system"
	// RemovalNamespace is the namespace of the Job that removes an installation. Its ServiceAccount has all rights.
	RemovalNamespace = "kubevision-removal"

	// SigningKeysSecret holds the keys that sign access tokens.
	SigningKeysSecret = "kubevision-signing-keys"
	// ServingCertSecret holds the serving certificate of kubevision-apiserver and the CA that signed it.
	ServingCertSecret = "kubevision-apiserver-tls"
	// APIServerService is the Service in front of kubevision-apiserver.
	APIServerService = "kubevision-apiserver"
	// APIService registers the dashboard's API with kube-apiserver.
	APIService = "v1alpha1.dashboard.kubevision.io"

	// Impersonator is the name of the ServiceAccount that may only impersonate the users and groups that bindings name,
	// and of its roles.
	Impersonator = "kubevision-impersonator"
	// Reader is the name of the ServiceAccount that fills the read cache, and of its role and binding.
	Reader = "kubevision-reader"

	// AdminUser is the first user.
	AdminUser = "admin"
	// AdminPasswordSecret holds the first user's random password.
	AdminPasswordSecret = "kubevision-admin-password"
	// BootstrapConfigMap records that the first user was created, so that it is not created again.
	BootstrapConfigMap = "kubevision-bootstrap"

	// LastAdminParameter is the KubeVisionPolicyParameter that names the last usable administrator and its binding.
	LastAdminParameter = "kubevision-last-admin"
	// LastAdminPolicy is the prefix of the admission policies that protect the last usable administrator.
	LastAdminPolicy = "kubevision-last-admin"
	// ObjectQuotaParameter is the KubeVisionPolicyParameter with the number of objects and their limits.
	ObjectQuotaParameter = "kubevision-object-quota"
	// RoleBindingsPolicy is the policy for role bindings. For changes that affect grants, this policy and the policies
	// below require another right in addition to the right to write the object.
	RoleBindingsPolicy = "kubevision-role-bindings"
	// ClustersPolicy is the policy for clusters.
	ClustersPolicy = "kubevision-clusters"
	// ClusterCredentialsPolicy is the policy for the credentials of clusters.
	ClusterCredentialsPolicy = "kubevision-cluster-credentials"
	// UsersPolicy is the policy for users.
	UsersPolicy = "kubevision-users"
	// NamespacesPolicy is the policy for changes of namespaces.
	NamespacesPolicy = "kubevision-namespaces"
	// NewNamespacesPolicy is the policy for new namespaces.
	NewNamespacesPolicy = "kubevision-new-namespaces"

	// FieldManager owns the fields that the controllers apply.
	FieldManager = "kubevision-controller-manager"
	// UserFieldManager owns the fields that users change through the dashboard's API.
	UserFieldManager = "kubevision"
)

// Labels that KubeVision sets or reads.
const (
	// ManagedByLabel is the recommended label for the tool that manages an object.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of ManagedByLabel.
	ManagedBy = "kubevision"
	// RoleBindingLabel names the KubeVisionRoleBinding for which an RBAC object was created.
	RoleBindingLabel = "kubevision.io/role-binding"
	// UserLabel names the KubeVisionUser for which an object was created.
	UserLabel = "kubevision.io/user"
	// ProtectedLabel protects a Namespace if it has any value but "false": the built-in roles dev and ops then grant no
	// more than readonly in it.
	ProtectedLabel = "kubevision.io/protected"
	// TemplateLabel on a ConfigMap of KubeVision's namespace, with any value, makes it a template.
	TemplateLabel = "kubevision.io/template"
	// BuiltinTemplate is the value of TemplateLabel on the templates that KubeVision provides.
	BuiltinTemplate = "builtin"
	// ComponentLabel contains the part of KubeVision to which an object belongs, if it was not created for one
	// binding or user.
	ComponentLabel = "kubevision.io/component"
)

// ResetTwoFactorAnnotation on a KubeVisionUser, with any value, removes the user's second factor. The controller
// removes the annotation afterwards.
const ResetTwoFactorAnnotation = "kubevision.io/reset-two-factor"

// AdoptCredentialsAnnotation on a KubeVisionUser, with any value, makes the user the owner of the credentials of that
// name that were restored from a backup. The controller then removes the annotation.
const AdoptCredentialsAnnotation = "kubevision.io/adopt-credentials" //nolint:gosec // a name, not a credential

// AbandonAnnotation on a KubeVisionCluster that is being deleted, with any value, completes the deletion without a
// cleanup of the cluster.
const AbandonAnnotation = "kubevision.io/abandon"

// CompromisedServingCertAnnotation on the APIService, with any value, replaces the serving certificate of
// kubevision-apiserver immediately, without trust in the previous CA.
const CompromisedServingCertAnnotation = "kubevision.io/compromised-serving-cert"

// PasswordKey is the default key of a user's password in the Secret of spec.passwordSecretRef.
const PasswordKey = "password"

// AllowRemovingLastAdminAnnotation on a KubeVisionUser or KubeVisionRoleBinding, with the value "true", allows the
// removal of the last usable administrator.
const AllowRemovingLastAdminAnnotation = "kubevision.io/allow-removing-last-admin"

const credentialsPrefix = "kubevision-credentials-" //nolint:gosec // a name, not a credential

const favoritesPrefix = "kubevision-favorites-"

// CredentialsSecret is the name of the Secret with a user's credentials.
func CredentialsSecret(user string) string { return credentialsPrefix + user }

// CredentialsOwner returns the user of a Secret with credentials. It returns false if the name is not the name of such
// a Secret.
func CredentialsOwner(secret string) (string, bool) {
	return strings.CutPrefix(secret, credentialsPrefix)
}

// IsOwnSecret returns true for the name of a Secret in KubeVision's namespace that only KubeVision's programs use. No
// KubeVisionUser or KubeVisionCluster may reference it.
func IsOwnSecret(secret string) bool {
	return secret == SigningKeysSecret || secret == ServingCertSecret || strings.HasPrefix(secret, credentialsPrefix)
}

// FavoritesConfigMap returns the name of the ConfigMap with a user's favorites.
func FavoritesConfigMap(user string) string { return favoritesPrefix + user }

// GrantedRole returns the name of the RBAC objects that implement a KubeVisionRoleBinding on a cluster.
func GrantedRole(binding string) string { return "kubevision:binding:" + binding }

// UserGrant returns the name of the KubeVisionRoleBinding for the role that the dashboard has granted a user.
func UserGrant(user string) string {
	const prefix, longest = "user-", 63
	if len(prefix)+len(user) <= longest {
		return prefix + user
	}
	sum := sha256.Sum256([]byte(user))
	suffix := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight((prefix + user)[:longest-len(suffix)], "-.") + suffix
}

// ClusterUse returns the name of the RBAC objects on the host that allow the subjects of a KubeVisionRoleBinding to use
// its clusters.
func ClusterUse(binding string) string { return "kubevision:use:" + binding }
