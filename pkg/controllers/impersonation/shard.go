// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	usersResource    = "users"
	groupsResource   = "groups"
	accountsResource = "serviceaccounts"

	// shardBytes bounds the size of the names in one role, in bytes. etcd rejects objects of more than 1.5 MiB.
	shardBytes = 256 << 10
	// hashBits is the number of bits in the hash of a name. The first bits determine the shard of the name.
	hashBits = 64
	// entryOverhead is the estimated number of bytes that a name takes in addition to its text.
	entryOverhead = 8
)

// entry is a name that may be impersonated.
type entry struct {
	resource, name string
	hash           uint64
}

func newEntry(resource, name string) entry {
	sum := sha256.Sum256([]byte(resource + "/" + name))
	return entry{resource: resource, name: name, hash: binary.BigEndian.Uint64(sum[:])}
}

// shard contains some of the names that may be impersonated. Each shard becomes one Role or ClusterRole.
type shard struct {
	namespace string
	// hashPrefix is a string of 0 and 1. The hash of each name in the shard begins with these bits.
	hashPrefix string
	entries    []entry
}

// split distributes names over shards, which become separate roles. The first bits of the hash of a name determine the
// shard. If a shard would be larger than shardBytes, split divides the shard by the next bit. Therefore, a new name
// changes the distribution of the names in one shard only.
func split(entries []entry, namespace string) []*shard {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.name, b.name))
	})
	return halve(&shard{namespace: namespace, entries: entries})
}

func halve(s *shard) []*shard {
	bytes := 0
	for _, e := range s.entries {
		bytes += len(e.name) + entryOverhead
	}
	depth := len(s.hashPrefix)
	// A shard at the depth hashBits is small: no attacker can find many names whose hashes are equal.
	if bytes <= shardBytes || depth >= hashBits {
		return []*shard{s}
	}
	zeros := &shard{namespace: s.namespace, hashPrefix: s.hashPrefix + "0"}
	ones := &shard{namespace: s.namespace, hashPrefix: s.hashPrefix + "1"}
	for _, e := range s.entries {
		half := zeros
		if e.hash>>(hashBits-1-depth)&1 == 1 {
			half = ones
		}
		half.entries = append(half.entries, e)
	}
	var out []*shard
	for _, half := range []*shard{zeros, ones} {
		if len(half.entries) > 0 {
			out = append(out, halve(half)...)
		}
	}
	return out
}

func (s *shard) roleName() string {
	if s.hashPrefix == "" {
		return names.Impersonator
	}
	return names.Impersonator + "-" + s.hashPrefix
}

// rules returns the rules of the role. A resource without names has no rule, because a rule without resourceNames would
// allow all names.
func (s *shard) rules() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, resource := range []string{usersResource, groupsResource, accountsResource} {
		var named []string
		for _, e := range s.entries {
			if e.resource == resource {
				named = append(named, e.name)
			}
		}
		if len(named) > 0 {
			rules = append(rules, rule(resource, named))
		}
	}
	return rules
}

func rule(resource string, resourceNames []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: resourceNames,
		Verbs: []string{verb}}
}

func (s *shard) clusterRole() *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metadata("", s.roleName()), Rules: s.rules()}
}

func (s *shard) clusterRoleBinding() *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metadata("", s.roleName()), RoleRef: roleRef("ClusterRole", s.roleName()), Subjects: subjects(),
	}
}

func (s *shard) role() *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: metadata(s.namespace, s.roleName()), Rules: s.rules()}
}

func (s *shard) roleBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metadata(s.namespace, s.roleName()), RoleRef: roleRef("Role", s.roleName()), Subjects: subjects(),
	}
}

func roleRef(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: names.Namespace, Name: names.Impersonator}}
}
