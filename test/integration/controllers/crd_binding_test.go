// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
)

func bindingSpec() object {
	return object{
		"subjects": []any{object{"kind": "KubeVisionUser", "name": "alice"}},
		"roleRef":  object{"name": "dev"},
		"clusters": object{"names": []any{"local"}},
	}
}

func TestBindingSubjectValidation(t *testing.T) {
	const (
		namespaceRule = "namespace is required for a ServiceAccount, and not allowed for other kinds"
		nameRule      = "may only contain lower case letters"
		prefixRule    = "names that begin with 'kubevision:' are reserved"
		userRule      = "users that begin with 'system:' are reserved"
		groupRule     = "groups that begin with 'system:' are reserved"
	)
	table := map[string]verdict{}
	for name, tc := range map[string]struct {
		kind, name, namespace, want string
	}{
		"KubeVisionUser":                {"KubeVisionUser", "alice", "", ""},
		"KubeVisionGroup":               {"KubeVisionGroup", "web-team", "", ""},
		"User":                          {"User", "jane@example.com", "", ""},
		"Group":                         {"Group", "oidc:Team One", "", ""},
		"ServiceAccount":                {"ServiceAccount", "ci", "default", ""},
		"everybody":                     {"Group", "system:authenticated", "", ""},
		"service accounts":              {"Group", "system:serviceaccounts:ci", "", ""},
		"all service accounts":          {"Group", "system:serviceaccounts", "", ""},
		"masters":                       {"Group", "system:masters", "", groupRule},
		"nodes":                         {"Group", "system:nodes", "", groupRule},
		"the anonymous":                 {"Group", "system:unauthenticated", "", groupRule},
		"like service accounts":         {"Group", "system:serviceaccountsx", "", groupRule},
		"system user":                   {"User", "system:admin", "", userRule},
		"kube-controller-manager":       {"User", "system:kube-controller-manager", "", userRule},
		"anonymous":                     {"User", "system:anonymous", "", userRule},
		"service account as user":       {"User", "system:serviceaccount:a:b", "", userRule},
		"masters as user":               {"User", "system:masters", "", userRule},
		"KubeVision user as user":       {"User", "kubevision:alice", "", prefixRule},
		"KubeVision group as group":     {"Group", "kubevision:group:a", "", prefixRule},
		"all KubeVision users":          {"Group", "kubevision:users", "", prefixRule},
		"the member of groups":          {"User", "kubevision::group-member", "", prefixRule},
		"user in a namespace":           {"User", "jane", "default", namespaceRule},
		"group in a namespace":          {"Group", "team", "default", namespaceRule},
		"KubeVisionUser in a namespace": {"KubeVisionUser", "alice", "default", namespaceRule},
		"account without namespace":     {"ServiceAccount", "ci", "", namespaceRule},
		"account, namespace with slash": {"ServiceAccount", "ci", "a/b", "spec.subjects[0].namespace"},
		"account with a colon":          {"ServiceAccount", "a:b", "default", nameRule},
		"KubeVisionUser with a colon":   {"KubeVisionUser", "system:admin", "", nameRule},
		"KubeVisionUser upper case":     {"KubeVisionUser", "Alice", "", nameRule},
		"KubeVisionUser, line feed":     {"KubeVisionUser", "alice\n", "", nameRule},
		"KubeVisionGroup with a star":   {"KubeVisionGroup", "*", "", nameRule},
		"empty name":                    {"User", "", "", "spec.subjects[0].name"},
		"unknown kind":                  {"Everybody", "x", "", "spec.subjects[0].kind"},
		"name too long":                 {"User", strings.Repeat("x", 254), "", "spec.subjects[0].name"},
	} {
		subject := object{"kind": tc.kind, "name": tc.name}
		if tc.namespace != "" {
			subject["namespace"] = tc.namespace
		}
		table[name] = verdict{spec: with(bindingSpec(), object{"subjects": []any{subject}}), want: tc.want}
	}
	judge(t, "KubeVisionRoleBinding", table)
}

func TestBindingValidation(t *testing.T) {
	const (
		oneOf    = "exactly one of names and selector must be set"
		roleRule = "a KubeVisionRole must be admin, ops, dev or readonly"
	)
	role := func(kind, name string) object {
		ref := object{"name": name}
		if kind != "" {
			ref["kind"] = kind
		}
		return with(bindingSpec(), object{"roleRef": ref})
	}
	clusters := func(targets object) object { return with(bindingSpec(), object{"clusters": targets}) }
	namespaces := func(targets object) object { return with(bindingSpec(), object{"namespaces": targets}) }
	selector := object{"matchLabels": object{"a": "b"}}
	judge(t, "KubeVisionRoleBinding", map[string]verdict{
		"least":      {spec: bindingSpec()},
		"name of 63": {name: strings.Repeat("b", 63), spec: bindingSpec()},
		"name of 64": {name: strings.Repeat("b", 64), spec: bindingSpec(),
			want: "the name of a role binding must have at most 63 characters"},
		"no subjects":              {spec: with(bindingSpec(), object{"subjects": []any{}}), want: "spec.subjects"},
		"subjects absent":          {spec: with(bindingSpec(), object{"subjects": nil}), want: "spec.subjects"},
		"built-in role by kind":    {spec: role("KubeVisionRole", "readonly")},
		"unknown built-in role":    {spec: role("KubeVisionRole", "cluster-admin"), want: roleRule},
		"ClusterRole called admin": {spec: role("ClusterRole", "admin")},
		"ClusterRole with a colon": {spec: role("ClusterRole", "system:node-reader")},
		"custom role without kind": {spec: role("", "my-role")},
		"unknown kind of role":     {spec: role("Role", "x"), want: "spec.roleRef.kind"},
		"empty role":               {spec: role("", ""), want: "spec.roleRef.name"},
		"role with a slash":        {spec: role("ClusterRole", "a/b"), want: "spec.roleRef.name"},
		"role with a percent sign": {spec: role("ClusterRole", "a%2fb"), want: "spec.roleRef.name"},
		"every cluster":            {spec: clusters(object{"selector": object{}})},
		"clusters by label":        {spec: clusters(object{"selector": selector})},
		"clusters both":            {spec: clusters(object{"names": []any{"a"}, "selector": selector}), want: oneOf},
		"clusters neither":         {spec: clusters(object{}), want: oneOf},
		"clusters absent":          {spec: with(bindingSpec(), object{"clusters": nil}), want: "spec.clusters"},
		"clusters empty list":      {spec: clusters(object{"names": []any{}}), want: "spec.clusters.names"},
		"cluster twice":            {spec: clusters(object{"names": []any{"a", "a"}}), want: "Duplicate value"},
		"cluster of empty name":    {spec: clusters(object{"names": []any{""}}), want: "spec.clusters.names[0]"},
		"cluster name of 64": {spec: clusters(object{"names": []any{strings.Repeat("c", 64)}}),
			want: "spec.clusters.names[0]"},
		"namespaces by name":      {spec: namespaces(object{"names": []any{"a", "b"}})},
		"every namespace":         {spec: namespaces(object{"selector": object{}})},
		"namespaces both":         {spec: namespaces(object{"names": []any{"a"}, "selector": selector}), want: oneOf},
		"namespaces neither":      {spec: namespaces(object{}), want: oneOf},
		"namespaces empty list":   {spec: namespaces(object{"names": []any{}}), want: "spec.namespaces.names"},
		"namespace with a slash":  {spec: namespaces(object{"names": []any{"a/b"}}), want: "spec.namespaces.names[0]"},
		"namespace with a star":   {spec: namespaces(object{"names": []any{"*"}}), want: "spec.namespaces.names[0]"},
		"namespace of empty name": {spec: namespaces(object{"names": []any{""}}), want: "spec.namespaces.names[0]"},
	})
}
