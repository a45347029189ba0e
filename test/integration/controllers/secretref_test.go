// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func ownSecrets() []string {
	return []string{names.SigningKeysSecret, names.ServingCertSecret, names.CredentialsSecret(names.AdminUser),
		names.CredentialsSecret("nobody")}
}

// TestSecretsOfKubeVisionCannotBeNamed verifies that a KubeVisionUser or KubeVisionCluster cannot refer to KubeVision's
// own Secrets, such as the Secret with the signing keys. Otherwise, KubeVision would read these Secrets on behalf of
// clients that may not read them.
func TestSecretsOfKubeVisionCannotBeNamed(t *testing.T) {
	const own = "this Secret is reserved for KubeVision; create another one"
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
	judgeChange(t, "KubeVisionUser", object{},
		object{"passwordSecretRef": object{"name": names.SigningKeysSecret}}, own)
}

// withoutRules removes the validation rules of one field from a CustomResourceDefinition until the test ends. The
// function newInvalid returns an object that violates the rules. withoutRules waits until kube-apiserver accepts this
// object.
func withoutRules(tb testing.TB, definition, field string, newInvalid func() client.Object) {
	tb.Helper()
	rules := kubectl(tb, "get", "crd", definition,
		"-o", "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties."+field+
			".x-kubernetes-validations}")
	path := "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/" + field +
		"/x-kubernetes-validations"
	patch := func(ctx context.Context, operation string) error {
		_, err := env.Cluster.Kubectl(ctx, "patch", "crd", definition, "--type=json", "-p", "["+operation+"]")
		return err
	}
	try := func(ctx context.Context) error { return env.Client.Create(ctx, newInvalid(), client.DryRunAll) }
	tb.Cleanup(func() {
		ctx, cancel := later(tb)
		defer cancel()
		if err := patch(ctx, `{"op":"add","path":"`+path+`","value":`+rules+`}`); err != nil {
			tb.Error(err)
		}
		if err := poll(ctx, soon, "wait for the rules", func(ctx context.Context) error {
			if err := try(ctx); !apierrors.IsInvalid(err) {
				return errors.New("they are not in force")
			}
			return nil
		}); err != nil {
			tb.Error(err)
		}
	})
	if err := patch(tb.Context(), `{"op":"remove","path":"`+path+`"}`); err != nil {
		tb.Fatal(err)
	}
	eventually(tb, soon, "wait until there are no rules", try)
}

// TestSecretsOfKubeVisionAreNotRead verifies that the controllers reject references to KubeVision's own Secrets, even
// if the CustomResourceDefinitions have no validation rules for these references.
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
		"cluster": {"kubevisionclusters.kubevision.io", "kubeconfigSecretRef",
			func(secret string) client.Object { return registered(secret) }},
	} {
		t.Run(name, func(t *testing.T) {
			withoutRules(t, tc.definition, tc.reference,
				func() client.Object { return tc.object(names.SigningKeysSecret) })
			for _, secret := range ownSecrets() {
				o := tc.object(secret)
				create(t, o)
				c := awaitNotReady(t, o, kubevisionv1alpha1.ReasonSecretInvalid)
				if !strings.Contains(c.Message, "reserved for KubeVision") {
					t.Errorf("%s: the message is %q", secret, c.Message)
				}
			}
		})
	}
}
