// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	post = http.MethodPost
	put  = http.MethodPut
	get  = http.MethodGet
)

// with returns a copy of f that includes the given changes. A nil value removes a field.
func (f fields) with(changes fields) fields {
	out := maps.Clone(f)
	for k, v := range changes {
		out[k] = v
		if v == nil {
			delete(out, k)
		}
	}
	return out
}

func registration(name string) fields {
	return fields{"name": name, "authType": "kubeconfig", "kubeconfig": valid()}
}

func (e *endpoints) wantAbsent(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s exists (%v)", o, o.GetName(), err)
			e.Later(t, o)
		}
	}
}

func (e *endpoints) present(t *testing.T, o client.Object) {
	t.Helper()
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
}

func clusterNamed(name string) *kubevisionv1alpha1.KubeVisionCluster {
	return &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestRejectedRegistrations verifies the code, the field and the message of each rejected body. No response contains a
// value from the kubeconfig, and no object is created.
func TestRejectedRegistrations(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	const address = "127.0.0.1:16443"
	with := func(text string) fields { return fields{"kubeconfig": text} }
	for name, tc := range map[string]struct {
		change  fields
		code    int
		field   string
		message string
	}{
		"no name":             {fields{"name": nil}, wire.Required, "name", "name"},
		"an invalid name":     {fields{"name": "No_Name"}, wire.Invalid, "name", "name"},
		"a name of 64 bytes":  {fields{"name": strings.Repeat("x", 64)}, wire.Invalid, "name", "63"},
		"no type":             {fields{"authType": nil}, wire.Required, "authType", "authType"},
		"an unknown type":     {fields{"authType": "ssh"}, wire.Invalid, "authType", "kubeconfig or in-cluster"},
		"no kubeconfig":       {fields{"kubeconfig": nil}, wire.Required, "kubeconfig", "kubeconfig"},
		"an empty kubeconfig": {with(""), wire.Required, "kubeconfig", "kubeconfig"},
		"the host cluster":    {fields{"authType": "in-cluster"}, wire.Invalid, "kubeconfig", "needs no kubeconfig"},
		"no YAML":             {with("\t" + canary), wire.Invalid, "kubeconfig", "not valid YAML"},
		"a large kubeconfig": {with(strings.Repeat(canary, 4000)), wire.Invalid, "kubeconfig",
			"larger than 65536 bytes"},
		"a program": {with(fixture.Kubeconfig("https://kube.example", canary, "    exec: {command: "+canary+"}")),
			wire.Invalid, "kubeconfig", "users[0].user.exec"},
		"a file": {with(fixture.Kubeconfig("https://kube.example", canary, "    tokenFile: /"+canary)), wire.Invalid,
			"kubeconfig", "users[0].user.tokenFile"},
		"no TLS": {with(fixture.Kubeconfig("http://"+canary, canary, "")), wire.Invalid, "kubeconfig", "https://"},
		// The claim exp is 1.
		"an expired token": {with(fixture.Kubeconfig("https://"+canary, "e30.eyJleHAiOjF9.x", "")), wire.Invalid,
			"kubeconfig", "expired on 1970-01-01T00:00:01Z"},
		"a denied address": {with(fixture.Kubeconfig("https://"+address, canary, "")), wire.Invalid, "kubeconfig",
			"--cluster-addresses-allowed"},
		"a denied name": {with(fixture.Kubeconfig("https://localhost:16443/"+canary, canary, "")), wire.Invalid,
			"kubeconfig", "--cluster-addresses-allowed"},
		"an unknown field": {fields{"secret": canary}, wire.Invalid, "secret", "unknown field"},
		"an invalid label": {fields{"labels": fields{"a": "not a value"}}, wire.Rejected, "", "not a value"},
	} {
		t.Run(name, func(t *testing.T) {
			member := fixture.Name("member")
			body := registration(member).with(tc.change)
			answer := e.Call(t, operator, post, "/clusters", body).Want(t, tc.code)
			if answer.Meta.Field != tc.field || !strings.Contains(answer.Message, tc.message) {
				t.Errorf("meta.field %q, want %q; the message is %q, want %q", answer.Meta.Field, tc.field,
					answer.Message, tc.message)
			}
			for _, value := range []string{canary, address, "eyJleHAiOjF9"} {
				if strings.Contains(string(answer.Raw), value) {
					t.Errorf("the response contains a value from the kubeconfig: %s", answer.Raw)
				}
			}
			if given, ok := body["name"].(string); ok && given != "No_Name" {
				member = given
			}
			e.wantAbsent(t, clusterNamed(member), secretOf(member, nil))
		})
	}
}

func TestRegistration(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	name := strings.Repeat("x", 56) + fixture.Name("")
	cluster, secret := clusterNamed(name), secretOf(name, nil)
	e.Later(t, cluster)
	e.Later(t, secret)
	answer := e.Call(t, operator, post, "/clusters",
		registration(name).with(fields{"displayName": "A member", "labels": fields{"tier": "test"}})).Want(t, wire.OK)
	for _, want := range []string{`"id":"` + name + `"`, `"displayName":"A member"`, `"authType":"kubeconfig"`,
		`"labels":{"tier":"test"}`, `"status":"pending"`} {
		if !strings.Contains(string(answer.Data), want) {
			t.Errorf("the response does not contain %s: %s", want, answer.Data)
		}
	}
	if strings.Contains(string(answer.Raw), canary) {
		t.Errorf("the response contains the kubeconfig: %s", answer.Raw)
	}
	e.present(t, cluster)
	e.present(t, secret)
	if ref := cluster.Spec.KubeconfigSecretRef; ref == nil || ref.Name != secret.Name || cluster.Spec.InCluster {
		t.Errorf("the registration is %+v", cluster.Spec)
	}
	if owners := secret.OwnerReferences; len(owners) != 1 || owners[0].UID != cluster.UID {
		t.Errorf("the owners of the Secret are %v", owners)
	}
	if string(secret.Data["kubeconfig"]) != valid() {
		t.Errorf("the Secret contains %q", secret.Data)
	}

	another := fields{"kubeconfig": fixture.Kubeconfig("https://kube.example", "other-"+canary, "")}
	e.Call(t, operator, post, "/clusters", registration(name).with(another)).Want(t, wire.Conflict)
	e.present(t, secret)
	if string(secret.Data["kubeconfig"]) != valid() {
		t.Error("a second registration has replaced the kubeconfig")
	}
}

func TestRegistrationOfTheHost(t *testing.T) {
	e := newEndpoints(t)
	name := fixture.Name("host")
	cluster := clusterNamed(name)
	e.Later(t, cluster)
	body := fields{"name": name, "authType": "in-cluster"}
	answer := e.Call(t, e.operator(t), post, "/clusters", body).Want(t, wire.OK)
	if !strings.Contains(string(answer.Data), `"authType":"in-cluster"`) {
		t.Errorf("the response is %s", answer.Data)
	}
	e.present(t, cluster)
	if !cluster.Spec.InCluster || cluster.Spec.KubeconfigSecretRef != nil {
		t.Errorf("the registration is %+v", cluster.Spec)
	}
	e.wantAbsent(t, secretOf(name, nil))
}

// TestFailedRegistration verifies that a failed registration creates neither the KubeVisionCluster nor the Secret with
// the kubeconfig. In one case, kube-apiserver accepts the Secret in the dry run, but rejects it afterwards.
func TestFailedRegistration(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	refused := fixture.Name("member")
	e.refuseSecret(t, refused, "CREATE")
	for name, tc := range map[string]struct {
		caller user.Info
		// member is the name of the cluster to register. If it is empty, the test generates a name.
		member string
		// cluster and secret are true for objects that exist before.
		cluster, secret bool
		code            int
	}{
		"no right to create Secrets":  {caller: e.caller(t, onClusters("*"), onSecrets("get")), code: wire.Forbidden},
		"no right to create clusters": {caller: e.caller(t, onSecrets("*")), code: wire.Forbidden},
		"a Secret with the name":      {caller: operator, secret: true, code: wire.Conflict},
		"a cluster with the name":     {caller: operator, cluster: true, code: wire.Conflict},
		"a refused Secret":            {caller: operator, member: refused, code: wire.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			member := cmp.Or(tc.member, fixture.Name("member"))
			cluster, secret := clusterNamed(member), secretOf(member, map[string][]byte{"other": []byte("x")})
			cluster.Spec.InCluster = true
			exists := map[client.Object]bool{cluster: tc.cluster, secret: tc.secret}
			for object, before := range exists {
				if before {
					e.Create(t, object)
				}
			}
			answer := e.Call(t, tc.caller, post, "/clusters", registration(member)).Want(t, tc.code)
			if strings.Contains(string(answer.Raw), canary) {
				t.Errorf("the response contains the kubeconfig: %s", answer.Raw)
			}
			for object, before := range exists {
				if !before {
					e.wantAbsent(t, object)
					continue
				}
				version := object.GetResourceVersion()
				e.present(t, object)
				if object.GetResourceVersion() != version {
					t.Errorf("%T %s was changed", object, object.GetName())
				}
			}
		})
	}
}

// refuseSecret creates an admission policy for the Secret with the kubeconfig of the given cluster. The policy rejects
// CREATE and the given operation, except in a dry run.
func (e *endpoints) refuseSecret(t *testing.T, cluster string, operation admissionregistrationv1.OperationType) {
	t.Helper()
	name := fixture.Name("refused")
	e.Create(t, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					ResourceNames: []string{secretName(cluster), name},
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{"CREATE", operation},
						Rule: admissionregistrationv1.Rule{
							APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"},
						},
					},
				}},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression: "has(request.dryRun) && request.dryRun", Message: "refused by the test",
			}},
		},
	})
	e.Create(t, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{"Deny"},
		},
	})
	probe := secretOf("", nil)
	probe.Name = name
	fixture.Eventually(t, "wait for policy "+name, func(ctx context.Context) error {
		made := probe.DeepCopy()
		err := e.Client.Create(ctx, made)
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return nil
		}
		return errors.Join(errors.New("the policy is not in force"), err, e.Client.Delete(ctx, made))
	})
}
