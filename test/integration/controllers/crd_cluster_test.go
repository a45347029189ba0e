// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
)

func TestClusterValidation(t *testing.T) {
	const oneOf = "exactly one of inCluster: true and kubeconfigSecretRef must be set"
	ref := object{"name": "kubeconfig"}
	judge(t, "KubeVisionCluster", map[string]verdict{
		"host":                 {spec: object{"inCluster": true}},
		"kubeconfig":           {spec: object{"kubeconfigSecretRef": ref}},
		"kubeconfig and false": {spec: object{"inCluster": false, "kubeconfigSecretRef": ref}},
		"both":                 {spec: object{"inCluster": true, "kubeconfigSecretRef": ref}, want: oneOf},
		"neither":              {spec: object{"displayName": "x"}, want: oneOf},
		"false alone":          {spec: object{"inCluster": false}, want: oneOf},
		"no spec":              {spec: nil, want: "spec"},
		"name of 63":           {name: strings.Repeat("c", 63), spec: object{"inCluster": true}},
		"name of 64": {name: strings.Repeat("c", 64), spec: object{"inCluster": true},
			want: "a cluster name must have at most 63 characters"},
		"name with a slash": {name: "a/b", spec: object{"inCluster": true}, want: "Invalid value"},
		"secret with a slash": {spec: object{"kubeconfigSecretRef": object{"name": "a/b"}},
			want: "spec.kubeconfigSecretRef.name"},
		"secret without a name": {spec: object{"kubeconfigSecretRef": object{}},
			want: "spec.kubeconfigSecretRef.name"},
		"key with a slash": {spec: object{"kubeconfigSecretRef": object{"name": "a", "key": "../b"}},
			want: "spec.kubeconfigSecretRef.key"},
		"display name too long": {spec: object{"inCluster": true, "displayName": strings.Repeat("x", 257)},
			want: "spec.displayName"},
		"inCluster is no boolean": {spec: object{"inCluster": "true"}, want: "spec.inCluster"},
	})
}

func TestClusterChange(t *testing.T) {
	const fixed = "inCluster cannot be changed; register the cluster under another name"
	host, member := object{"inCluster": true}, object{"kubeconfigSecretRef": object{"name": "a"}}
	for name, tc := range map[string]struct {
		before, after object
		want          string
	}{
		"host to kubeconfig":  {host, member, fixed},
		"kubeconfig to host":  {member, host, fixed},
		"another kubeconfig":  {member, object{"kubeconfigSecretRef": object{"name": "b"}}, ""},
		"display name":        {host, object{"inCluster": true, "displayName": "x"}, ""},
		"false equals absent": {member, object{"inCluster": false, "kubeconfigSecretRef": object{"name": "a"}}, ""},
	} {
		t.Run(name, func(t *testing.T) { judgeChange(t, "KubeVisionCluster", tc.before, tc.after, tc.want) })
	}
}
