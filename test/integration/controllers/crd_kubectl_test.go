// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

func writeManifest(tb testing.TB, o *unstructured.Unstructured) string {
	tb.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "object.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

func kubectl(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := env.Cluster.Kubectl(tb.Context(), args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestShortNamesAndColumns(t *testing.T) {
	guard(t)
	host(t)
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name)))
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
	for short, want := range map[string]string{
		"kvu":       "NAME DISPLAY NAME READY REASON 2FA LAST LOGIN LOCKED UNTIL AGE",
		"kvc":       "NAME DISPLAY NAME VERSION NODES READY REASON AGE",
		"kvrb":      "NAME ROLE SUBJECTS CLUSTERS NAMESPACES READY REASON UNREACHABLE AGE",
		"kvsession": "NAME USER ADDRESS EXPIRES AGE",
		"kvpp":      "NAME ADMINS LAST ADMIN LAST BINDING USERS CLUSTERS BINDINGS COUNTED AGE",
	} {
		header, rows, _ := strings.Cut(kubectl(t, "get", short), "\n")
		if got := strings.Join(strings.Fields(header), " "); got != want {
			t.Errorf("kubectl get %s shows %q, want %q", short, got, want)
		}
		if strings.TrimSpace(rows) == "" {
			t.Errorf("kubectl get %s shows no rows", short)
		}
	}
	if row := strings.Join(strings.Fields(kubectl(t, "get", "kvc", hostName, "--no-headers")),
		" "); !strings.Contains(row, " True Ready ") {
		t.Errorf("the host is shown as %q", row)
	}
}

func TestWholeCategoryIsListed(t *testing.T) {
	host(t)
	if out := kubectl(t, "get", "kubevision", "-o", "name"); !strings.Contains(out,
		"kubevisioncluster.kubevision.io/"+hostName) {
		t.Errorf("kubectl get kubevision shows %q", out)
	}
}

func TestEveryFieldIsExplained(t *testing.T) {
	for _, fields := range []string{
		"kubevisionuser.spec", "kubevisioncluster.spec", "kubevisionrolebinding.spec", "kubevisionsession.spec",
		"kubevisionpolicyparameter.spec.lastAdmin", "kubevisionpolicyparameter.spec.objectQuota.users",
	} {
		if out := kubectl(t, "explain", fields); strings.Contains(out, "<no description>") {
			t.Errorf("kubectl explain %s:\n%s", fields, out)
		}
	}
}

func TestDefaults(t *testing.T) {
	u := newUser(t, "")
	if u.Spec.TwoFactor != kubevisionv1alpha1.TwoFactorOptional {
		t.Errorf("twoFactor is %q by default, want Optional", u.Spec.TwoFactor)
	}
}

func apply(tb testing.TB, name, manager string, groups ...any) error {
	tb.Helper()
	o := kubevisionObject("KubeVisionUser", name, object{"groups": groups})
	return env.Client.Apply(tb.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(manager))
}

func TestGroupsOfTwoManagersAreMerged(t *testing.T) {
	u := userObject("")
	t.Cleanup(func() { remove(t, u) })
	for _, step := range []struct {
		manager string
		groups  []any
		want    []string
	}{
		{"gitops", []any{"a", "b"}, sorted("a", "b")},
		{"directory", []any{"b", "c"}, sorted("a", "b", "c")},
		{"gitops", []any{"a"}, sorted("a", "b", "c")},
		{"directory", []any{"c"}, sorted("a", "c")},
	} {
		if err := apply(t, u.Name, step.manager, step.groups...); err != nil {
			t.Fatalf("%s applies %v: %v", step.manager, step.groups, err)
		}
		got := slices.Sorted(slices.Values(read(t, u).Spec.Groups))
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("after %s has applied %v (-want +got):\n%s", step.manager, step.groups, diff)
		}
	}
}
