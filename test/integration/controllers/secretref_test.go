// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func ownSecrets() []string {
	return []string{names.SigningKeysSecret, names.ServingCertSecret, names.CredentialsSecret(names.AdminUser), names.CredentialsSecret("nobody")}
}

// TestSecretsOfKubeVisionCannotBeNamed: a password that is the signing key would be the key to everybody's session.
func TestSecretsOfKubeVisionCannotBeNamed(t *testing.T) {
	const own = "this Secret is KubeVision's own; make one for this purpose and name that"
	users, clusters := map[string]verdict{}, map[string]verdict{}
	for _, name := range ownSecrets() {
		users[name] = verdict{spec: object{"passwordSecretRef": object{"name": name}}, want: own}
		clusters[name] = verdict{spec: object{"kubeconfigSecretRef": object{"name": name}}, want: own}
	}
	for _, name := range []string{names.AdminPasswordSecret, "kubevision-signing-keys-of-mine", "credentials-alice"} {
		users[name] = verdict{spec: object{"passwordSecretRef": object{"name": name}}}
		clusters[name] = verdict{spec: object{"kubeconfigSecretRef": object{"name": name}}}
	}
	judge(t, "KubeVisionUser", users)
	judge(t, "KubeVisionCluster", clusters)
	judgeChange(t, "KubeVisionUser", object{}, object{"passwordSecretRef": object{"name": names.SigningKeysSecret}}, own)
}

// withoutRules takes the rules on a reference to a Secret out of a definition until the test ends.
func withoutRules(tb testing.TB, definition, reference string, probe client.Object) {
	tb.Helper()
	d := &unstructured.Unstructured{}
	d.SetAPIVersion("apiextensions.k8s.io/v1")
	d.SetKind("CustomResourceDefinition")
	d.SetName(definition)
	path := "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/" + reference + "/x-kubernetes-validations"
	rules, found, err := unstructured.NestedFieldCopy(schemaOf(tb, read(tb, d)), "properties", "spec", "properties", reference, "x-kubernetes-validations")
	if err != nil || !found {
		tb.Fatalf("there are no rules at %s (%v)", path, err)
	}
	tb.Cleanup(func() {
		ctx, cancel := later(tb)
		defer cancel()
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			tb.Error(err)
			return
		}
		if err := unstructured.SetNestedField(schemaOf(tb, d), rules, "properties", "spec", "properties", reference, "x-kubernetes-validations"); err != nil {
			tb.Error(err)
		}
		if err := env.Client.Update(ctx, d); err != nil {
			tb.Error(err)
		}
		if err := poll(ctx, soon, "wait for the rules", func(ctx context.Context) error {
			if err := env.Client.Create(ctx, copyOf(probe), client.DryRunAll); !apierrors.IsInvalid(err) {
				return errors.New("they are not in force")
			}
			return nil
		}); err != nil {
			tb.Error(err)
		}
	})
	if err := env.Client.Patch(tb.Context(), d, client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"`+path+`"}]`))); err != nil {
		tb.Fatal(err)
	}
	eventually(tb, soon, "wait until there are no rules", func(ctx context.Context) error { return env.Client.Create(ctx, copyOf(probe), client.DryRunAll) })
}

func schemaOf(tb testing.TB, d *unstructured.Unstructured) map[string]any {
	tb.Helper()
	versions, _, err := unstructured.NestedFieldNoCopy(d.Object, "spec", "versions")
	if err != nil {
		tb.Fatal(err)
	}
	schema, _, err := unstructured.NestedFieldNoCopy(versions.([]any)[0].(map[string]any), "schema", "openAPIV3Schema")
	if err != nil {
		tb.Fatal(err)
	}
	return schema.(map[string]any)
}

func copyOf(o client.Object) client.Object { return o.DeepCopyObject().(client.Object) }

// TestSecretsOfKubeVisionAreNotRead, also where the definitions would let somebody name them.
func TestSecretsOfKubeVisionAreNotRead(t *testing.T) {
	guard(t)
	for name, tc := range map[string]struct {
		definition, reference string
		object                func(secret string) client.Object
	}{
		"user": {"kubevisionusers.kubevision.io", "passwordSecretRef", func(secret string) client.Object {
			u := userObject(secret)
			u.Spec.PasswordSecretRef.Key = "ca.crt"
			return u
		}},
		"cluster": {"kubevisionclusters.kubevision.io", "kubeconfigSecretRef", func(secret string) client.Object { return registered(secret) }},
	} {
		t.Run(name, func(t *testing.T) {
			withoutRules(t, tc.definition, tc.reference, tc.object(names.SigningKeysSecret))
			for _, secret := range ownSecrets() {
				o := tc.object(secret)
				create(t, o)
				c := awaitNotReady(t, o, kubevisionv1alpha1.ReasonSecretInvalid)
				if !strings.Contains(c.Message, "KubeVision's own") {
					t.Errorf("%s: the message is %q", secret, c.Message)
				}
			}
		})
	}
}
