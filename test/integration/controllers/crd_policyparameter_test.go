// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/names"
)

const parameterKind = "KubeVisionPolicyParameter"

// maxLastAdminSpec returns the largest spec that a controller writes to the KubeVisionPolicyParameter about the last
// administrator.
func maxLastAdminSpec() object {
	many := func(count int, item func(name string) any) []any {
		out := make([]any, count)
		for i := range out {
			out[i] = item(strings.Repeat("a", 60) + strconv.Itoa(100+i))
		}
		return out
	}
	name := func(name string) any { return name }
	return object{"lastAdmin": object{
		"user": strings.Repeat("u", 63), "userGroups": many(64, name), "binding": strings.Repeat("b", 63),
		"bindingSubjects": many(256, func(name string) any { return object{"kind": "KubeVisionGroup", "name": name} }),
		"admins":          many(256, name), "adminCount": int64(10_000),
	}}
}

func objectQuotaSpec() object {
	usage := object{"used": int64(0), "limit": int64(1)}
	return object{"objectQuota": object{
		"countTime": "2026-01-02T03:04:05Z", "users": usage, "clusters": usage, "roleBindings": usage, "bytes": usage,
	}}
}

// TestPolicyParameterValidation verifies the validation of KubeVisionPolicyParameters:
//   - Only the names kubevision-last-admin and kubevision-object-quota are valid.
//   - The spec of kubevision-last-admin must contain exactly the field lastAdmin. The spec of kubevision-object-quota
//     must contain exactly the field objectQuota.
//   - The largest spec that the controllers write is valid.
func TestPolicyParameterValidation(t *testing.T) {
	guard(t)
	const one, known = "exactly one of lastAdmin and objectQuota", "the name must be kubevision-last-admin"
	inside := func(part string, spec, changes object) object {
		changed, ok := spec[part].(object)
		if !ok {
			t.Fatalf("there is no %s", part)
		}
		return object{part: with(changed, changes)}
	}
	subject := func(kind string) []any { return []any{object{"kind": kind, "name": "alice"}} }
	judge(t, parameterKind, map[string]verdict{
		"another name":          {spec: maxLastAdminSpec(), want: known},
		"the name of the other": {name: names.ObjectQuotaParameter, spec: maxLastAdminSpec(), want: known},
		"the other's name":      {name: names.LastAdminParameter, spec: objectQuotaSpec(), want: known},
		"nothing":               {name: names.LastAdminParameter, spec: object{}, want: one},
		"both": {name: names.LastAdminParameter, spec: with(maxLastAdminSpec(), objectQuotaSpec()),
			want: one},
		"no number of admins": {name: names.LastAdminParameter, spec: object{"lastAdmin": object{}},
			want: "adminCount"},
		"a limit of 0": {name: names.ObjectQuotaParameter, spec: inside("objectQuota", objectQuotaSpec(),
			object{"users": object{"used": int64(0), "limit": int64(0)}}), want: "spec.objectQuota.users.limit"},
		"no time": {name: names.ObjectQuotaParameter, spec: inside("objectQuota", objectQuotaSpec(),
			object{"countTime": nil}), want: "spec.objectQuota.countTime"},
		"a Kubernetes group": {name: names.LastAdminParameter, spec: inside("lastAdmin", maxLastAdminSpec(),
			object{"bindingSubjects": subject("Group")}), want: "kind must be KubeVisionUser or KubeVisionGroup"},
		"a long name": {name: names.LastAdminParameter, spec: inside("lastAdmin", maxLastAdminSpec(),
			object{"user": strings.Repeat("u", 64)}), want: "spec.lastAdmin.user"},
	})
	for name, spec := range map[string]object{
		names.LastAdminParameter: maxLastAdminSpec(), names.ObjectQuotaParameter: objectQuotaSpec(),
	} {
		applied := kubevisionObject(parameterKind, name, spec)
		if err := env.Programs.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied),
			client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll); err != nil {
			t.Errorf("what the controller may write to %s is rejected: %v", name, err)
		}
	}
}
