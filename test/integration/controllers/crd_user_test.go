// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
)

func TestUserValidation(t *testing.T) {
	many := make([]any, 65)
	for i := range many {
		many[i] = "g" + strings.Repeat("x", i%10) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	judge(t, "KubeVisionUser", map[string]verdict{
		"empty": {spec: object{}},
		"everything": {spec: object{"displayName": "Zoë", "email": "zoe@example.com",
			"groups": []any{"a", "b.c-d"}, "disabled": true, "twoFactor": "Required",
			"passwordSecretRef": object{"name": "p", "key": "a.b_c-D"}, "mustChangePassword": true}},
		"name of 63": {name: strings.Repeat("a", 63), spec: object{}},
		"name of 64": {name: strings.Repeat("a", 64), spec: object{},
			want: "a user name must have at most 63 characters"},
		"name with a colon":       {name: "system:admin", spec: object{}, want: "Invalid value"},
		"name in upper case":      {name: "Alice", spec: object{}, want: "lowercase RFC 1123"},
		"email without at":        {spec: object{"email": "zoe"}, want: "spec.email"},
		"email with two ats":      {spec: object{"email": "a@b@c"}, want: "spec.email"},
		"email with a space":      {spec: object{"email": "a b@c"}, want: "spec.email"},
		"email with a line feed":  {spec: object{"email": "a@b\nBcc: c@d"}, want: "spec.email"},
		"email ends in line feed": {spec: object{"email": "a@b\n"}, want: "spec.email"},
		"group with a colon":      {spec: object{"groups": []any{"system:masters"}}, want: "spec.groups[0]"},
		"group in upper case":     {spec: object{"groups": []any{"Admins"}}, want: "spec.groups[0]"},
		"group with a slash":      {spec: object{"groups": []any{"a", "b/c"}}, want: "spec.groups[1]"},
		"group with a space":      {spec: object{"groups": []any{"a b"}}, want: "spec.groups[0]"},
		"group of a line feed":    {spec: object{"groups": []any{"a\n"}}, want: "spec.groups[0]"},
		"empty group":             {spec: object{"groups": []any{""}}, want: "spec.groups[0]"},
		"group of 63":             {spec: object{"groups": []any{strings.Repeat("g", 63)}}},
		"group of 64":             {spec: object{"groups": []any{strings.Repeat("g", 64)}}, want: "spec.groups[0]"},
		"group twice":             {spec: object{"groups": []any{"a", "a"}}, want: "Duplicate value"},
		"65 groups":               {spec: object{"groups": many}, want: "must have at most 64 items"},
		"secret with a slash": {spec: object{"passwordSecretRef": object{"name": "kube-system/token"}},
			want: "spec.passwordSecretRef.name"},
		"secret goes up": {spec: object{"passwordSecretRef": object{"name": "../x"}},
			want: "spec.passwordSecretRef.name"},
		"secret without name": {spec: object{"passwordSecretRef": object{"key": "x"}},
			want: "spec.passwordSecretRef.name"},
		"secret of empty name": {spec: object{"passwordSecretRef": object{"name": ""}},
			want: "spec.passwordSecretRef.name"},
		"key with a slash": {spec: object{"passwordSecretRef": object{"name": "x", "key": "a/b"}},
			want: "spec.passwordSecretRef.key"},
		"unknown two-factor": {spec: object{"twoFactor": "Never"},
			want: "supported values: \"Optional\", \"Required\""},
		"display name too long":    {spec: object{"displayName": strings.Repeat("x", 257)}, want: "spec.displayName"},
		"disabled is no boolean":   {spec: object{"disabled": "yes"}, want: "spec.disabled"},
		"passwordSecretRef a list": {spec: object{"passwordSecretRef": []any{}}, want: "spec.passwordSecretRef"},
	})
}

// TestUserSpecHasNoRoomForAPassword verifies that the API server drops two unknown fields of a KubeVisionUser:
// spec.password and spec.passwordSecretRef.namespace. With strict field validation, the API server rejects
// spec.password.
func TestUserSpecHasNoRoomForAPassword(t *testing.T) {
	u := kubevisionObject("KubeVisionUser", "", object{
		"password": canary + "spec", "passwordSecretRef": object{"name": "x", "namespace": "kube-system"},
	})
	create(t, u)
	text, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), canary) || strings.Contains(string(text), "kube-system") {
		t.Errorf("the object is stored as %s", text)
	}
	_, err = env.Cluster.Kubectl(t.Context(), "create", "--dry-run=server", "--validate=strict", "-f",
		writeManifest(t, kubevisionObject("KubeVisionUser", "", object{"password": "x"})))
	if err == nil || !strings.Contains(err.Error(), "unknown field \"spec.password\"") {
		t.Errorf("kubectl says %v, want that spec.password is unknown", err)
	}
}
