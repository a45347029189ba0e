// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objectquota

import (
	"errors"

	"github.com/spf13/pflag"
)

const (
	// DefaultUsers is the default limit of KubeVisionUsers.
	DefaultUsers = 10_000
	// DefaultClusters is the default limit of KubeVisionClusters.
	DefaultClusters = 1_000
	// DefaultRoleBindings is the default limit of KubeVisionRoleBindings.
	DefaultRoleBindings = 2_000
	// DefaultBytes is the default limit of the total size of all KubeVisionUsers, KubeVisionClusters and
	// KubeVisionRoleBindings, in bytes of JSON without managedFields. kubevision-apiserver and
	// kubevision-controller-manager hold all these objects in memory.
	DefaultBytes = 96 << 20
)

// Limits bounds the number of KubeVisionUsers, KubeVisionClusters and KubeVisionRoleBindings, and their total size in
// bytes.
type Limits struct {
	Users        int
	Clusters     int
	RoleBindings int
	Bytes        int64
}

// DefaultLimits returns the default limits. Higher limits may require more memory in the resource requests of the
// Deployments kubevision-apiserver and kubevision-controller-manager.
func DefaultLimits() Limits {
	return Limits{Users: DefaultUsers, Clusters: DefaultClusters, RoleBindings: DefaultRoleBindings,
		Bytes: DefaultBytes}
}

// AddFlags adds a flag for each limit to fs.
func (l *Limits) AddFlags(fs *pflag.FlagSet) {
	const rest = " The host rejects further ones. Existing ones are not deleted."
	fs.IntVar(&l.Users, "max-users", l.Users, "Maximum number of KubeVisionUsers."+rest)
	fs.IntVar(&l.Clusters, "max-clusters", l.Clusters, "Maximum number of KubeVisionClusters."+rest)
	fs.IntVar(&l.RoleBindings, "max-role-bindings", l.RoleBindings,
		"Maximum number of KubeVisionRoleBindings."+rest)
	fs.Int64Var(&l.Bytes, "max-object-bytes", l.Bytes, "Maximum size of all KubeVisionUsers, KubeVisionClusters and "+
		"KubeVisionRoleBindings in bytes, as JSON without managed fields. Beyond it, the host rejects new objects "+
		"and objects that grow. Both programs cache all objects.")
}

// Validate returns an error if a limit is zero or negative.
func (l *Limits) Validate() error {
	if l.Users <= 0 || l.Clusters <= 0 || l.RoleBindings <= 0 || l.Bytes <= 0 {
		return errors.New("--max-users, --max-clusters, --max-role-bindings and --max-object-bytes must be more than 0")
	}
	return nil
}
