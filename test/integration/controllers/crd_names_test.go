// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func forbiddenSubjects() map[string]object {
	out := map[string]object{}
	for _, name := range []string{
		"system:masters", "System:masters", "SYSTEM:MASTERS", " system:masters", "system:masters ", "\tsystem:masters",
		"system:masters\n",
		"\u200bsystem:masters", "\u00a0system:masters", "sys\u00adtem:masters", "\u202esretsam:metsys",
		"system:masters\x00",
		"system:serviceaccounts\u200b", "kubevision:users", "KubeVision:users", " kubevision:group:admins",
	} {
		for _, kind := range []string{"Group", "User"} {
			out[fmt.Sprintf("%s %q", kind, name)] = object{"kind": kind, "name": name}
		}
	}
	for _, kind := range []string{"KubeVisionUser", "KubeVisionGroup"} {
		out[kind+" system:masters"] = object{"kind": kind, "name": "system:masters"}
	}
	out["ServiceAccount system:masters"] = object{"kind": "ServiceAccount", "name": "system:masters",
		"namespace": "default"}
	return out
}

// TestSubjectsThatPassForOthers verifies that a KubeVisionRoleBinding cannot have a subject with a reserved name, such
// as system:masters, or with a name that resembles a reserved name. It tests a create, a merge patch and a server-side
// apply.
func TestSubjectsThatPassForOthers(t *testing.T) {
	existing := kubevisionObject("KubeVisionRoleBinding", "", bindingSpec())
	create(t, existing)
	read(t, existing)
	for name, subject := range forbiddenSubjects() {
		spec := with(bindingSpec(), object{"subjects": []any{object{"kind": "KubeVisionUser", "name": "alice"},
			subject}})
		for way, try := range map[string]func() error{
			"create": func() error {
				return env.Client.Create(t.Context(), kubevisionObject("KubeVisionRoleBinding", "", spec),
					client.DryRunAll)
			},
			"update": func() error {
				changed := existing.DeepCopy()
				changed.Object["spec"] = spec
				changed.SetResourceVersion("")
				return env.Client.Patch(t.Context(), changed, client.Merge, client.DryRunAll)
			},
			"server-side apply": func() error {
				applied := kubevisionObject("KubeVisionRoleBinding", existing.GetName(), spec)
				return env.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied),
					client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll)
			},
		} {
			t.Run(way+" "+name, func(t *testing.T) { checkVerdict(t, try(), "spec.subjects[1]") })
		}
	}
}

func TestSubjectsOfOtherScriptsAreTaken(t *testing.T) {
	table := map[string]verdict{}
	for _, name := range []string{
		"日本", "Zoë Müller", "oidc:Team One", "https://issuer.example/#jane", "CN=jane,O=x",
	} {
		table[name] = verdict{spec: with(bindingSpec(),
			object{"subjects": []any{object{"kind": "Group", "name": name}}})}
	}
	judge(t, "KubeVisionRoleBinding", table)
}

func TestNamesThatPassForOthers(t *testing.T) {
	const decoded, reserved, url = "displays another name", "are reserved", "a cluster name is part of URLs"
	judge(t, "KubeVisionUser", map[string]verdict{
		"the group of all users":  {name: "users", spec: object{}, want: reserved},
		"credentials of another":  {name: "kubevision-credentials-alice", spec: object{}, want: reserved},
		"like KubeVision":         {name: "kubevisionary", spec: object{}},
		"punycode":                {name: "xn--80ak6aa92e", spec: object{}, want: decoded},
		"punycode within":         {name: "alice.xn--80ak6aa92e", spec: object{}, want: decoded},
		"two dashes":              {name: "alice--" + unique("x"), spec: object{}},
		"prefixed":                {name: "kubevision:alice", spec: object{}, want: "Invalid value"},
		"begins with a colon":     {name: ":group-member", spec: object{}, want: "Invalid value"},
		"group with a prefix":     {spec: object{"groups": []any{"group:admins"}}, want: "spec.groups[0]"},
		"group of KubeVision":     {spec: object{"groups": []any{"kubevision:users"}}, want: "spec.groups[0]"},
		"group of punycode":       {spec: object{"groups": []any{"a", "xn--80ak6aa92e"}}, want: decoded},
		"group with two dots":     {spec: object{"groups": []any{"a..b"}}, want: "spec.groups[0]"},
		"group with dot and dash": {spec: object{"groups": []any{"a.-b"}}, want: "spec.groups[0]"},
		// The first letter is Cyrillic.
		"group of another script":  {spec: object{"groups": []any{"аdmins"}}, want: "spec.groups[0]"},
		"group with an odd hyphen": {spec: object{"groups": []any{"web\u2010team"}}, want: "spec.groups[0]"},
	})
	judge(t, "KubeVisionCluster", map[string]verdict{
		"a dot":       {name: "eu.production", spec: object{"inCluster": true}, want: url},
		"punycode":    {name: "xn--80ak6aa92e", spec: object{"inCluster": true}, want: decoded},
		"a dot first": {name: ".production", spec: object{"inCluster": true}, want: "Invalid value"},
	})
	judge(t, "KubeVisionRoleBinding", map[string]verdict{
		"punycode": {name: "xn--80ak6aa92e", spec: bindingSpec(), want: decoded},
		"cluster with dot": {spec: with(bindingSpec(), object{"clusters": object{"names": []any{"a.b"}}}),
			want: "spec.clusters.names[0]"},
		"a cluster name with ..": {spec: with(bindingSpec(), object{"clusters": object{"names": []any{".."}}}),
			want: "spec.clusters.names[0]"},
		"cluster of a star": {spec: with(bindingSpec(), object{"clusters": object{"names": []any{"*"}}}),
			want: "spec.clusters.names[0]"},
	})
}
