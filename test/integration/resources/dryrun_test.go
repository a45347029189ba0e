// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type trial struct {
	Current, Proposed *struct {
		APIVersion, Kind, Name, Namespace string
		Raw                               object
	}
	Valid            bool
	Errors, Warnings []string
	Diff             *struct {
		Unified string
		Paths   []string
	}
}

func tried(tb testing.TB, e wire.Envelope) trial {
	tb.Helper()
	var d trial
	e.Into(tb, &d)
	return d
}

func configMap(tb testing.TB, ns, name string) string {
	tb.Helper()
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Data: map[string]string{"k": "old"}}
	set().Create(tb, c)
	return c.ResourceVersion
}

func TestDryRun(t *testing.T) {
	ns := set().Namespace(t, "dryrun")
	dev := newPerson(t, "dev", ns)
	version := configMap(t, ns, "a")
	config := in(ns, "configmaps", "a")

	fresh := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"data":{"k":"v"}}`
	d := tried(t, dev.send(t, http.MethodPost, in(ns, "configmaps")+"/dry-run", jsonType, fresh).Want(t, wire.OK))
	if !d.Valid || d.Current != nil || d.Proposed == nil || d.Proposed.Name != "b" ||
		at(d.Proposed.Raw, "data", "k") != "v" || d.Errors == nil || d.Warnings == nil {
		t.Errorf("create: %+v", d)
	}
	dev.get(t, in(ns, "configmaps", "b")).Want(t, wire.NotFound)
	dev.send(t, http.MethodPost, in(ns, "configmaps")+"/dry-run", jsonType,
		strings.Replace(fresh, `"b"`, `"a"`, 1)).Want(t, wire.Conflict)

	changed := decoded(t, dev.get(t, config))
	changed["data"] = object{"k": "new"}
	changed["raw"], changed["name"], changed["namespace"] = object{"x": 1}, "a", ns // fields that dashboards add
	for name, d := range map[string]trial{
		"replace": tried(t, dev.send(t, http.MethodPut, config+"/dry-run", jsonType,
			encoded(t, changed)).Want(t, wire.OK)),
		"patch": tried(t, dev.send(t, http.MethodPatch, config+"/dry-run", mergeType,
			`{"data":{"k":"new"}}`).Want(t, wire.OK)),
		"apply": tried(t, dev.send(t, http.MethodPatch, config+"/dry-run?force=true", applyType,
			"apiVersion: v1\nkind: ConfigMap\ndata: {k: new}\n").Want(t, wire.OK)),
	} {
		if !d.Valid || d.Current == nil || d.Proposed == nil || at(d.Current.Raw, "data", "k") != "old" ||
			at(d.Proposed.Raw, "data", "k") != "new" {
			t.Fatalf("%s: %+v", name, d)
		}
		if d.Diff == nil || !slices.Equal(d.Diff.Paths, []string{".data.k"}) ||
			!strings.Contains(d.Diff.Unified, "-  k: old\n+  k: new\n") {
			t.Errorf("%s: the difference is %+v", name, d.Diff)
		}
		if strings.Contains(d.Diff.Unified, "managedFields") || strings.Contains(d.Diff.Unified, "resourceVersion") {
			t.Errorf("%s: %s contains fields that the API server sets", name, d.Diff.Unified)
		}
	}
	dev.send(t, http.MethodPut, config+"/dry-run", jsonType,
		strings.Replace(encoded(t, changed), version, "1", 1)).Want(t, wire.Stale)

	for _, way := range []struct{ method, path, contentType, body string }{
		{http.MethodPost, in(ns, "configmaps") + "?dryRun=All", jsonType, fresh},
		{http.MethodPatch, config + "?dryRun=All", mergeType, `{"data":{"k":"new"}}`},
		{http.MethodDelete, config + "?dryRun=All", "", ""},
	} {
		dev.send(t, way.method, way.path, way.contentType, way.body).Want(t, wire.OK)
	}
	dev.get(t, in(ns, "configmaps", "b")).Want(t, wire.NotFound)
	if got := at(decoded(t, dev.get(t, config)), "metadata", "resourceVersion"); got != version {
		t.Errorf("the resource version is %v, and was %s", got, version)
	}
}

// TestDryRunTakesTheRightToWrite verifies that a dry run requires the right to write, and returns the stored object
// only with the right to get it.
func TestDryRunTakesTheRightToWrite(t *testing.T) {
	ns := set().Namespace(t, "dryrun")
	viewer := newPerson(t, "readonly", ns)
	configMap(t, ns, "a")
	applied(t, ns, "app")
	for _, way := range []struct{ method, path, contentType, body string }{
		{http.MethodPost, in(ns, "configmaps") + "/dry-run", jsonType,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`},
		{http.MethodPut, in(ns, "configmaps", "a") + "/dry-run", jsonType,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"1"}}`},
		{http.MethodPatch, in(ns, "configmaps", "a") + "/dry-run", mergeType, `{}`},
		{http.MethodPatch, in(ns, "secrets", "app") + "/dry-run", mergeType, `{"type":"x"}`},
		{http.MethodPatch, in(ns, "secrets", "app") + "/dry-run", applyType,
			`{"apiVersion":"v1","kind":"Secret","data":{}}`},
		{http.MethodPatch, in(ns, "secrets", "app") + "/dry-run", applyType,
			`{"apiVersion":"v1","kind":"Secret","data":{"password":"` + maskedB64 + `"}}`},
	} {
		hides(t, viewer.send(t, way.method, way.path, way.contentType, way.body).Want(t, wire.Forbidden))
	}
}

// TestDryRunOfASecret verifies that a dry run of a change to a Secret masks all values and reports the changed keys.
func TestDryRunOfASecret(t *testing.T) {
	ns := set().Namespace(t, "dryrun")
	dev := newPerson(t, "dev", ns)
	s := applied(t, ns, "app")
	path := in(ns, "secrets", "app") + "/dry-run"
	for _, way := range []struct{ method, contentType, body string }{
		{http.MethodPatch, mergeType, `{"data":{"user":"` + b64("other") + `"}}`},
		{http.MethodPatch, strategicType, `{"stringData":{"user":"other"}}`},
		{http.MethodPatch, jsonPatchType, `[{"op":"copy","from":"/data/password","path":"/data/user"}]`},
		{http.MethodPatch + "!", applyType,
			`{"apiVersion":"v1","kind":"Secret","data":{"user":"` + b64("other") + `"}}`},
		{http.MethodPut, jsonType, `{"apiVersion":"v1","kind":"Secret","metadata":{"resourceVersion":"` +
			s.ResourceVersion + `","annotations":{"note":"kept","` +
			corev1.LastAppliedConfigAnnotation + `":"` + masked + `"}},"data":{"user":"` + b64("other") +
			`","password":"` + maskedB64 + `"}}`},
	} {
		method, forced := strings.CutSuffix(way.method, "!")
		query := ""
		if forced {
			query = "?force=true"
		}
		e := dev.send(t, method, path+query, way.contentType, way.body).Want(t, wire.OK)
		hides(t, e)
		d := tried(t, e)
		if d.Diff == nil || !slices.Equal(d.Diff.Paths, []string{".data.user"}) {
			t.Errorf("%s: the difference is %+v", way.contentType, d.Diff)
		}
		if d.Diff == nil || !strings.Contains(d.Diff.Unified, "-  user: "+maskedB64+"\n+  user: "+differsB64+"\n") {
			t.Errorf("%s: the text of the difference is %+v", way.contentType, d.Diff)
		}
		if at(d.Current.Raw, "data", "user") != maskedB64 || at(d.Proposed.Raw, "data", "user") != differsB64 ||
			at(d.Proposed.Raw, "data", "password") == differsB64 && way.contentType != jsonPatchType {
			t.Errorf("%s: the values are shown as %v and %v", way.contentType, d.Current.Raw["data"],
				d.Proposed.Raw["data"])
		}
	}
	if now := stored(t, s); now.ResourceVersion != s.ResourceVersion {
		t.Error("it was written")
	}
}

// TestRejected verifies the reasons for rejections by validation and by admission, in a dry run and in a write.
func TestRejected(t *testing.T) {
	ns := set().Namespace(t, "rejected")
	dev := newPerson(t, "dev", ns)
	configMap(t, ns, "a")
	forbid(t, ns)
	noSecrets(t, ns)
	for name, tc := range map[string]struct{ kind, body, reason string }{
		"validation": {"deployments", strings.Replace(deployment, "matchLabels: {app: web}",
			"matchLabels: {app: other}", 1), "selector"},
		// The rejection is reported like a missing right.
		"quota": {"secrets", "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\n", "quota"},
		"admission": {"configmaps", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {forbidden: x}\n",
			"nobody needs that key"},
	} {
		e := dev.send(t, http.MethodPost, in(ns, tc.kind)+"/dry-run", yamlType, tc.body).Want(t, wire.Rejected)
		d := tried(t, e)
		if d.Valid || d.Proposed != nil || !strings.Contains(strings.Join(d.Errors, "\n"), tc.reason) ||
			!strings.Contains(e.Message, tc.reason) {
			t.Errorf("%s: %+v (%s)", name, d, e.Message)
		}
		if e := dev.send(t, http.MethodPost, in(ns, tc.kind), yamlType,
			tc.body).Want(t, wire.Rejected); !strings.Contains(e.Message, tc.reason) {
			t.Errorf("%s: the message is %q", name, e.Message)
		}
	}
	d := tried(t, dev.send(t, http.MethodPatch, in(ns, "configmaps", "a")+"/dry-run", mergeType,
		`{"data":{"forbidden":"x"}}`).Want(t, wire.Rejected))
	if d.Current == nil || at(d.Current.Raw, "data", "k") != "old" {
		t.Errorf("the existing objects are %+v", d.Current)
	}
}

func noSecrets(tb testing.TB, ns string) {
	tb.Helper()
	set().Create(tb, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"},
		Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{corev1.ResourceSecrets: resource.MustParse("0")}},
	})
	fixture.Eventually(tb, "wait for the quota", func(ctx context.Context) error {
		probe := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "probe"}}
		if err := set().Client.Create(ctx, probe, client.DryRunAll); err == nil {
			return errors.New("it is not in force")
		}
		return nil
	})
}

// forbid creates an admission policy that rejects ConfigMaps and Secrets with the data key "forbidden". The error
// message contains the value of this key.
func forbid(tb testing.TB, ns string) {
	tb.Helper()
	name := fixture.Name("resources-test")
	set().Create(tb, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{
					{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create,
							admissionregistrationv1.Update},
						Rule: admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"},
							Resources: []string{"configmaps", "secrets"}},
					}}},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression:        `!has(object.data) || !("forbidden" in object.data)`,
				MessageExpression: `"nobody needs that key, nor its value " + object.data.forbidden`,
			}},
		},
	})
	set().Create(tb, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        name,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	})
	fixture.Eventually(tb, "wait for the policy", func(ctx context.Context) error {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "probe"},
			Data: map[string]string{"forbidden": "x"}}
		if err := set().Client.Create(ctx, probe, client.DryRunAll); err == nil {
			return errors.New("it is not in force")
		}
		return nil
	})
}
