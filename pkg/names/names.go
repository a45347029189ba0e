// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package names contains the names of the objects that KubeVision creates or reads in clusters.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// Namespace is the namespace in which KubeVision is installed. It cannot be configured.
	Namespace = "kubevision-system"
	// RemovalNamespace is the namespace of the Job that removes an installation. The ServiceAccount of this Job has all
	// rights. Anyone who can create Pods in the namespace can use this ServiceAccount, so the namespace contains
	// nothing else.
	RemovalNamespace = "kubevision-removal"

	// SigningKeysSecret is the name of the Secret with the keys that sign access tokens.
	SigningKeysSecret = "kubevision-signing-keys"
	// ServingCertSecret is the name of the Secret with the serving certificate of kubevision-apiserver and the CA of
	// the certificate.
	ServingCertSecret = "kubevision-apiserver-tls"
	// APIServerService is the name of the Service of kubevision-apiserver.
	APIServerService = "kubevision-apiserver"
	// APIService is the name of the APIService object that registers kubevision-apiserver with kube-apiserver.
	APIService = "v1alpha1.dashboard.kubevision.io"

	// Impersonator is the name of the ServiceAccount that may impersonate the subjects of KubeVisionRoleBindings and
	// has no other rights. The roles of this ServiceAccount have the same name.
	Impersonator = "kubevision-impersonator"
	// Reader is the name of the ServiceAccount with which KubeVision reads objects into its read cache (package
	// readcache). The role and the role binding of this ServiceAccount have the same name.
	Reader = "kubevision-reader"

	// AdminUser is the name of the KubeVisionUser that is created at the installation.
	AdminUser = "admin"
	// AdminPasswordSecret is the name of the Secret with the generated password of AdminUser.
	AdminPasswordSecret = "kubevision-admin-password"
	// BootstrapConfigMap is the name of the ConfigMap that records that AdminUser was created. KubeVision does not
	// create AdminUser again after an administrator has deleted this user.
	BootstrapConfigMap = "kubevision-bootstrap"

	// LastAdminParameter is the name of a KubeVisionPolicyParameter. ValidatingAdmissionPolicies read it to prevent the
	// removal of the only remaining administrator.
	LastAdminParameter = "kubevision-last-admin"
	// LastAdminPolicy is the prefix of the names of the ValidatingAdmissionPolicies that read LastAdminParameter.
	LastAdminPolicy = "kubevision-last-admin"
	// ObjectQuotaParameter is the name of the KubeVisionPolicyParameter with the current number and size of
	// KubeVision's objects, and the limits for both.
	ObjectQuotaParameter = "kubevision-object-quota"
	// RoleBindingsPolicy is the name of the ValidatingAdmissionPolicy for KubeVisionRoleBindings. For a new or changed
	// binding, the policy requires that the user has the verb bind on the ClusterRole of the binding.
	RoleBindingsPolicy = "kubevision-role-bindings"
	// ClustersPolicy is the name of the ValidatingAdmissionPolicy for KubeVisionClusters. It protects the names, labels
	// and connections of clusters that KubeVisionRoleBindings select.
	ClustersPolicy = "kubevision-clusters"
	// ClusterCredentialsPolicy is the name of the ValidatingAdmissionPolicy for the references from KubeVisionClusters
	// to Secrets with kubeconfigs. If another KubeVisionCluster already references the Secret, the policy requires that
	// the user has the verb get on the Secret.
	ClusterCredentialsPolicy = "kubevision-cluster-credentials"
	// UsersPolicy is the name of the ValidatingAdmissionPolicy for KubeVisionUsers. If a KubeVisionRoleBinding
	// names a user or a group of the user, the policy protects the groups and the credentials of this user.
	UsersPolicy = "kubevision-users"
	// NamespacesPolicy is the name of the ValidatingAdmissionPolicy for updates of Namespaces. If changed labels extend
	// the rights that a KubeVisionRoleBinding grants in the Namespace, the policy requires that the user has the verb
	// bind on the ClusterRole of the binding.
	NamespacesPolicy = "kubevision-namespaces"
	// NewNamespacesPolicy is the name of the ValidatingAdmissionPolicy for the creation of Namespaces. If a
	// KubeVisionRoleBinding selects the labels of the new Namespace, the policy requires that the user has the verb
	// bind on the ClusterRole of the binding.
	NewNamespacesPolicy = "kubevision-new-namespaces"

	// FieldManager is the field manager with which the controllers apply objects.
	FieldManager = "kubevision-controller-manager"
	// UserFieldManager is the field manager of changes that users make through the dashboard's API.
	UserFieldManager = "kubevision"
)

// Keys and values of labels that KubeVision sets or reads.
const (
	// ManagedByLabel is the recommended label for the tool that manages an object.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of ManagedByLabel.
	ManagedBy = "kubevision"
	// RoleBindingLabel is the key of a label on RBAC objects. The value of the label is the name of the
	// KubeVisionRoleBinding for which the object was created.
	RoleBindingLabel = "kubevision.io/role-binding"
	// UserLabel is the key of a label. The value of the label is the name of the KubeVisionUser for which the object
	// was created.
	UserLabel = "kubevision.io/user"
	// ProtectedLabel on a Namespace, with any value except "false", protects the Namespace: in it, the built-in roles
	// dev and ops grant only the rights of the role readonly.
	ProtectedLabel = "kubevision.io/protected"
	// TemplateLabel on a ConfigMap in KubeVision's namespace marks the ConfigMap as a template for new objects.
	TemplateLabel = "kubevision.io/template"
	// BuiltinTemplate is the value of TemplateLabel on templates that are part of KubeVision.
	BuiltinTemplate = "builtin"
	// ComponentLabel is the key of a label. The value of the label is the part of KubeVision to which the object
	// belongs. Objects that were created for one KubeVisionRoleBinding or KubeVisionUser do not have the label.
	ComponentLabel = "kubevision.io/component"
)

// ResetTwoFactorAnnotation is an annotation of a KubeVisionUser. Any value makes the controller remove the user's
// second factor. The controller then removes the annotation.
const ResetTwoFactorAnnotation = "kubevision.io/reset-two-factor"

// AdoptCredentialsAnnotation is an annotation of a KubeVisionUser that has a new UID after a restore from a backup. Any
// value makes the controller set the user as the owner of these restored objects:
//
//   - the credentials and the favorites
//   - the password Secret and the role binding that the dashboard's API had created for the user
//
// The controller then removes the annotation.
const AdoptCredentialsAnnotation = "kubevision.io/adopt-credentials" //nolint:gosec // a name, not a credential

// AbandonAnnotation is an annotation of a KubeVisionCluster that is being deleted. Any value makes the controller
// remove the finalizer without deleting KubeVision's objects on the cluster.
const AbandonAnnotation = "kubevision.io/abandon"

// CompromisedServingCertAnnotation is an annotation of the APIService. Any value makes the controller replace the
// serving certificate and the CA of kubevision-apiserver at once. The previous CA is no longer trusted.
const CompromisedServingCertAnnotation = "kubevision.io/compromised-serving-cert"

// PasswordKey is the default key of the password in the Secret that spec.passwordSecretRef of a KubeVisionUser
// references.
const PasswordKey = "password"

// AllowRemovingLastAdminAnnotation is an annotation of a KubeVisionUser or KubeVisionRoleBinding. The value "true"
// allows the removal of the only remaining administrator who can log in.
const AllowRemovingLastAdminAnnotation = "kubevision.io/allow-removing-last-admin"

const credentialsPrefix = "kubevision-credentials-" //nolint:gosec // a name, not a credential

const favoritesPrefix = "kubevision-favorites-"

// CredentialsSecret returns the name of the Secret with the password hash and second factor of a user.
func CredentialsSecret(user string) string { return credentialsPrefix + user }

// CredentialsOwner returns the name of the user whose password hash and second factor are in the named Secret. It
// returns false for the name of any other Secret.
func CredentialsOwner(secret string) (string, bool) {
	return strings.CutPrefix(secret, credentialsPrefix)
}

// IsOwnSecret returns true for the names of the Secrets with signing keys, the serving certificate and the credentials
// of users. No KubeVisionUser or KubeVisionCluster may reference these Secrets.
func IsOwnSecret(secret string) bool {
	return secret == SigningKeysSecret || secret == ServingCertSecret || strings.HasPrefix(secret, credentialsPrefix)
}

// FavoritesConfigMap returns the name of the ConfigMap with the favorites of a user.
func FavoritesConfigMap(user string) string { return favoritesPrefix + user }

// GrantedRole returns the name of the RBAC objects that grant the rights of a KubeVisionRoleBinding on a cluster.
func GrantedRole(binding string) string { return "kubevision:binding:" + binding }

// UserGrant returns the name of the KubeVisionRoleBinding that the dashboard's API creates when it grants a user a
// role. A name that would be too long is shortened and ends with a hash.
func UserGrant(user string) string {
	const prefix, longest = "user-", 63
	if len(prefix)+len(user) <= longest {
		return prefix + user
	}
	sum := sha256.Sum256([]byte(user))
	suffix := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight((prefix + user)[:longest-len(suffix)], "-.") + suffix
}

// ClusterUse returns the name of the RBAC objects on the host cluster that allow the subjects of a
// KubeVisionRoleBinding to use the clusters of the binding.
func ClusterUse(binding string) string { return "kubevision:use:" + binding }
