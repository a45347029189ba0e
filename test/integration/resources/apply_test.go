// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// operations returns the data of an apply response. The returned string contains the operation of each result, for
// example "created unchanged".
func operations(t *testing.T, e wire.Envelope) (dashboardv1alpha1.Apply, string) {
	t.Helper()
	var data dashboardv1alpha1.Apply
	e.Into(t, &data)
	var out []string
	for _, r := range data.Results {
		out = append(out, string(r.Operation))
		done := slices.Contains([]dashboardv1alpha1.ApplyOperation{"created", "configured", "unchanged"}, r.Operation)
		if r.Success != done || (r.Code != 0) != (r.Operation == "failed") || r.Paths == nil {
			t.Errorf("a result is %+v", r)
		}
	}
	return data, strings.Join(out, " ")
}

func absentNamespace(t *testing.T, name string) {
	t.Helper()
	err := set().Client.Get(t.Context(), client.ObjectKey{Name: name}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s is there (%v)", name, err)
	}
}

func configMapText(ns, name, value string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %q}\ndata: {key: %s}\n",
		name, ns, value)
}

// TestApplySeveral verifies that one request can apply objects that depend on each other, in any order. For example, a
// custom resource may come before its CustomResourceDefinition and its Namespace.
func TestApplySeveral(t *testing.T) {
	admin, ns := newPerson(t, "admin"), fixture.Name("several")
	group := fixture.Name("several") + ".example.com"
	set().Later(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	definition := &unstructured.Unstructured{Object: object{"apiVersion": "apiextensions.k8s.io/v1",
		"kind": "CustomResourceDefinition"}}
	definition.SetName("cups." + group)
	set().Later(t, definition)
	text := strings.NewReplacer("NS", ns, "GROUP", group).Replace(`# what a chart renders
---
---
apiVersion: GROUP/v1
kind: Cup
metadata: {name: tea, namespace: NS}
spec: {size: 3}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads}
subjects: []
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "web:1"}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: NS}, stringData: {p: hunter2}}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: reads, namespace: NS}
  rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: cups.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: cups, kind: Cup}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer, maximum: 5}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`)
	tried, got := operations(t, admin.send(t, http.MethodPost, "/apply?dryRun=All", yamlType, text).Want(t, wire.OK))
	if want := strings.Repeat("deferred ", 5) + strings.TrimSpace(strings.Repeat("created ", 2)); got != want ||
		!tried.DryRun || tried.Applied != 2 {
		t.Errorf("a dry run: %s, want %s; %+v", got, want, tried)
	}
	absentNamespace(t, ns)
	done, got := operations(t, admin.send(t, http.MethodPost, "/apply", yamlType, text).Want(t, wire.OK))
	if want := strings.TrimSpace(strings.Repeat("created ", 7)); got != want || done.DryRun || done.Applied != 7 ||
		done.Failed != 0 {
		t.Fatalf("the first time: %s; %+v", got, done)
	}
	if r := done.Results[0]; r.Kind != "Cup" || r.APIVersion != group+"/v1" || r.Name != "tea" || r.Namespace != ns {
		t.Errorf("the first result is %+v", r)
	}
	fixture.Eventually(t, "get the cup", answers(admin, in(ns, "cups."+group, "tea")))
	if got := managersOf(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns,
		Name: "s"}}); got != "kubevision/Apply" {
		t.Errorf("the Secret is managed by %s", got)
	}
	_, got = operations(t, admin.send(t, http.MethodPost, "/apply", yamlType, text).Want(t, wire.OK))
	if want := strings.TrimSpace(strings.Repeat("unchanged ", 7)); got != want {
		t.Errorf("the second time: %s", got)
	}
	changed := strings.Replace(text, "size: 3", "size: 4", 1)
	for _, query := range []string{"?dryRun=All", ""} {
		data, _ := operations(t, admin.send(t, http.MethodPost, "/apply"+query, yamlType, changed).Want(t, wire.OK))
		if r := data.Results[0]; r.Operation != "configured" || !slices.Equal(r.Paths, []string{".spec.size"}) ||
			data.Results[1].Operation != "unchanged" {
			t.Errorf("changed%s: %+v", query, data.Results)
		}
	}
}

func managersOf(t *testing.T, o client.Object) string {
	t.Helper()
	if err := set().Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range o.GetManagedFields() {
		out = append(out, entry.Manager+"/"+string(entry.Operation))
	}
	return strings.Join(out, " ")
}

func TestNothingIsAppliedUnlessAllIsAccepted(t *testing.T) {
	ns, foreign := set().Namespace(t, "all"), set().Namespace(t, "foreign")
	dev, viewer := newPerson(t, "dev", ns), newPerson(t, "readonly", ns)
	good := configMapText(ns, "good", "a")
	set().Create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "theirs"},
		Data: map[string]string{"key": "theirs"}})
	secret := fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: new, namespace: %s}\n", ns)
	for name, tc := range map[string]struct {
		code        int
		field, text string
		results     string
	}{
		"rejected by validation": {wire.Rejected, "", good + configMapText(ns, "Bad_Name", "a"), "skipped failed"},
		"an unknown field": {wire.Invalid, "*", good + configMapText(ns, "b", "a") + "datum: {}\n",
			"skipped failed"},
		"fields of another manager": {wire.Stale, "", good + configMapText(ns, "theirs", "mine"), "skipped failed"},
		"another's namespace": {wire.NamespaceForbidden, "", configMapText(foreign, "x", "a") + good,
			"failed skipped"},
		"an unknown kind": {wire.NotFound, "",
			good + "---\napiVersion: example.com/v1\nkind: Nothing\nmetadata: {name: x}\n", ""},
		"the same twice": {wire.Invalid, "[1].metadata.name", good + good, ""},
		"no name":        {wire.Required, "[1].metadata.name", good + strings.Replace(good, "name: good, ", "", 1), ""},
		"no kind":        {wire.Required, "[0].kind", "apiVersion: v1\n" + good, ""},
		"no YAML":        {42200, "", good + "---\na: b: c\n", ""},
		"too many":       {42200, "", strings.Repeat(good, 101), ""},
		"a masked value": {wire.Invalid, "[1].data.p", good + secret + "data: {p: KioqKioq}\n", ""},
		"no namespace":   {wire.Invalid, "[0].namespace", configMapText("", "x", "a"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := dev.send(t, http.MethodPost, "/apply", yamlType, tc.text).Want(t, tc.code)
			if tc.field != "*" && e.Meta.Field != tc.field {
				t.Errorf("the field is %q (%s), want %q", e.Meta.Field, e.Message, tc.field)
			}
			if tc.results != "" {
				if _, got := operations(t, e); got != tc.results {
					t.Errorf("the results are %s, want %s", got, tc.results)
				}
			}
			dev.get(t, in(ns, "configmaps", "good")).Want(t, wire.NotFound)
		})
	}
	// The namespace is the first object, and would exist before the other object is rejected.
	early := fixture.Name("early")
	set().Later(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: early}})
	text := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + early + "}\n" + configMapText(ns, "Bad_Name", "a")
	e := newPerson(t, "admin").send(t, http.MethodPost, "/apply", yamlType, text).Want(t, wire.Rejected)
	if _, got := operations(t, e); got != "skipped failed" {
		t.Errorf("the results are %s", got)
	}
	absentNamespace(t, early)
	viewer.send(t, http.MethodPost, "/apply", yamlType, good).Want(t, wire.Forbidden)
	dev.send(t, http.MethodPost, "/apply?dryRun=Some", yamlType, good).Want(t, wire.Invalid)
	dev.get(t, in(ns, "configmaps", "good")).Want(t, wire.NotFound)
	// The options are in the query, and the body is a List in JSON. The request uses force.
	list := `{"apiVersion":"v1","kind":"ConfigMapList","items":[{"metadata":{"name":"theirs"},"data":{"key":"mine"}},` +
		`{"metadata":{"name":"good"}}]}`
	_, got := operations(t, dev.send(t, http.MethodPost, "/apply?force=true&namespace="+ns, jsonType,
		list).Want(t, wire.OK))
	if got != "configured created" {
		t.Errorf("by force: %s", got)
	}
}

// TestWhatCannotBeTriedBefore verifies a request that creates a namespace and objects in this namespace. The dry run of
// these objects is possible only after the Namespace was created. If it then fails, the response must report the
// Namespace as created.
func TestWhatCannotBeTriedBefore(t *testing.T) {
	admin, ns := newPerson(t, "admin"), fixture.Name("late")
	set().Later(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	text := configMapText(ns, "good", "a") + configMapText(ns, "Bad_Name", "a") +
		"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: " + ns + "}\n"
	data, got := operations(t, admin.send(t, http.MethodPost, "/apply", yamlType, text).Want(t, wire.OK))
	if got != "skipped failed created" || data.Applied != 1 || data.Failed != 1 ||
		data.Results[1].Code != wire.Rejected || data.Results[1].Error == "" {
		t.Errorf("%s: %+v", got, data)
	}
	admin.get(t, in(ns, "configmaps", "good")).Want(t, wire.NotFound)
}

// TestApplySecrets verifies that applying a masked value of a Secret does not change the stored value. Errors must not
// contain values of the Secret.
func TestApplySecrets(t *testing.T) {
	ns := set().Namespace(t, "secrets")
	dev := newPerson(t, "dev", ns)
	secret := func(fields string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: %s}\n%s\n", ns, fields)
	}
	const canary = "canary-hunter2"
	dev.send(t, http.MethodPost, "/apply", yamlType, secret("stringData: {p: "+canary+"}")).Want(t, wire.OK)
	e := dev.send(t, http.MethodPost, "/apply?force=true", yamlType,
		secret("data: {p: KioqKioq, q: YQ==}")).Want(t, wire.OK)
	found := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "s"}}
	if err := set().Client.Get(t.Context(), client.ObjectKeyFromObject(found), found); err != nil {
		t.Fatal(err)
	}
	if string(found.Data["p"]) != canary || string(found.Data["q"]) != "a" {
		t.Errorf("the Secret is %v", found.Data)
	}
	if strings.Contains(string(e.Raw), canary) {
		t.Errorf("the value is in %s", e.Raw)
	}
	// The API server quotes the second value, which has the same text.
	for _, field := range []string{"immutable", "type"} {
		refused := dev.send(t, http.MethodPost, "/apply?force=true", yamlType,
			secret("stringData: {p: "+canary+"}\n"+field+": "+canary))
		if refused.Code == wire.OK || strings.Contains(string(refused.Raw), canary) {
			t.Errorf("%s: %s", field, refused.Raw)
		}
	}
}

// TestApplyTakesACode verifies that an apply request with a sensitive object, such as a Role, requires a fresh
// two-factor code. Without the code, the request must not write any object.
func TestApplyTakesACode(t *testing.T) {
	ns := set().Namespace(t, "code")
	admin := newPerson(t, "admin")
	secret := fixture.Enrol(t, admin.client, wire.DirectPath, admin.AccessToken)
	harmless := configMapText(ns, "a", "a")
	role := fmt.Sprintf("---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: "+
		"%s}\nrules: []\n", ns)
	token := fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: t, namespace: %s, annotations: "+
		"{kubernetes.io/service-account.name: default}}\n"+
		"type: kubernetes.io/service-account-token\n", ns)
	admin.send(t, http.MethodPost, "/apply", yamlType, configMapText(ns, "b", "a")).Want(t, wire.OK)
	for _, text := range []string{harmless + role, harmless + token} {
		admin.send(t, http.MethodPost, "/apply?dryRun=All", yamlType, text).Want(t, wire.OK)
		admin.send(t, http.MethodPost, "/apply", yamlType, text).Want(t, wire.TwoFactorRequired)
		admin.get(t, in(ns, "configmaps", "a")).Want(t, wire.NotFound)
	}
	admin.client.Call(t, wire.Request{
		Method: http.MethodPost, Path: wire.DirectPath + "/clusters/" + host + "/apply", Bearer: admin.AccessToken,
		Body:   harmless + role,
		Header: http.Header{"Content-Type": {yamlType}, "X-KubeVision-TOTP": {fixture.Code(t, secret, 0)}},
	}).Want(t, wire.OK)
	admin.get(t, in(ns, "roles", "r")).Want(t, wire.OK)
}
