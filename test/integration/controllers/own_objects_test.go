// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

const ownObjectsPolicy = "kubevision-own-objects"

// refusedBy verifies that err is a rejection by the named admission policy. If err is nil or another error, refusedBy
// returns an error.
func refusedBy(policy string, err error) error {
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'") {
		return errors.Join(errors.New("want an error of "+policy), err)
	}
	return nil
}

func inSystem(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: names.Namespace, Name: name}
}

func serviceAccountToken() *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: inSystem(unique("token")), Type: corev1.SecretTypeServiceAccountToken}
	s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "kubevision-controller-manager"}
	return s
}

// writers returns the client of a cluster administrator and the client of a new user. The new user has all rights on
// Secrets, ConfigMaps, and the objects of KubeVision's API group, but no other rights.
func writers(tb testing.TB) map[string]client.Client {
	tb.Helper()
	writer := delegate(tb, everything(kubevisionv1alpha1.GroupName, "*"), everything("", "secrets", "configmaps"))
	eventually(tb, soon, "write a Secret", func(ctx context.Context) error {
		return writer.Create(ctx, &corev1.Secret{ObjectMeta: inSystem(unique("any"))}, client.DryRunAll)
	})
	return map[string]client.Client{"the administrator": env.Client, "a writer": writer}
}

// TestOnlyKubeVisionMakesItsOwnObjects verifies that only KubeVision can create its internal objects, such as
// KubeVisionSessions. With a forged KubeVisionSession, a client could act as any user.
func TestOnlyKubeVisionMakesItsOwnObjects(t *testing.T) {
	generated := &corev1.Secret{ObjectMeta: inSystem("")}
	generated.GenerateName = "kubevision-credentials-"
	for who, as := range writers(t) {
		for what, o := range map[string]client.Object{
			"a session":           kubevisionObject("KubeVisionSession", "", sessionSpec()),
			"a throttle":          kubevisionObject("KubeVisionLoginThrottle", "", throttleSpec()),
			"a parameter":         kubevisionObject(parameterKind, names.LastAdminParameter, maxLastAdminSpec()),
			"credentials":         credentialsOf(unique("nobody")),
			"favorites":           &corev1.ConfigMap{ObjectMeta: inSystem(names.FavoritesConfigMap(unique("nobody")))},
			"generated name":      generated.DeepCopy(),
			"a service account's": serviceAccountToken(),
		} {
			if err := refusedBy(ownObjectsPolicy, as.Create(t.Context(), o, client.DryRunAll)); err != nil {
				t.Errorf("%s makes %s: %v", who, what, err)
			}
		}
		for what, o := range map[string]client.Object{
			"credentials elsewhere": &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default",
				Name: "kubevision-credentials-x"}},
			"another Secret":    &corev1.Secret{ObjectMeta: inSystem(unique("any"))},
			"another ConfigMap": &corev1.ConfigMap{ObjectMeta: inSystem(unique("any"))},
		} {
			if err := as.Create(t.Context(), o, client.DryRunAll); err != nil {
				t.Errorf("%s makes %s: %v", who, what, err)
			}
		}
	}
}

func ownObjects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	u := newUser(t, newSource(t, newPassword()).Name)
	awaitReady(t, u)
	session := kubevisionObject("KubeVisionSession", "", sessionSpec()) // without a user, so that it does not end
	throttle := kubevisionObject("KubeVisionLoginThrottle", "", throttleSpec())
	create(t, session)
	create(t, throttle)
	favorites := &corev1.ConfigMap{ObjectMeta: inSystem(names.FavoritesConfigMap(u.Name))}
	favorites.Labels = map[string]string{names.ManagedByLabel: names.ManagedBy, names.UserLabel: u.Name}
	if err := env.Programs.Create(t.Context(), favorites); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := env.Client.Delete(ctx, favorites); err != nil {
			t.Error(err)
		}
	})
	core := func(kind, name string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("v1")
		o.SetKind(kind)
		o.SetNamespace(names.Namespace)
		o.SetName(name)
		return o
	}
	return map[string]*unstructured.Unstructured{
		"session": session, "throttle": throttle, "credentials": core("Secret", names.CredentialsSecret(u.Name)),
		"signing keys": core("Secret", names.SigningKeysSecret), "certificate": core("Secret", names.ServingCertSecret),
		"favorites":    core("ConfigMap", favorites.Name),
		"bootstrap":    core("ConfigMap", names.BootstrapConfigMap),
		"last admin":   kubevisionObject(parameterKind, names.LastAdminParameter, nil),
		"object quota": kubevisionObject(parameterKind, names.ObjectQuotaParameter, nil),
	}
}

// TestOnlyKubeVisionChangesItsOwnObjects verifies the protection of KubeVision's own objects, such as sessions and the
// credentials of users:
//   - No other client can change the content, the owner references, or KubeVision's labels and annotations.
//   - Other clients can change finalizers and unrelated labels.
//   - Only a client with the right to bind all ClusterRoles can delete credentials. The deletion resets the second
//     factor of the user.
func TestOnlyKubeVisionChangesItsOwnObjects(t *testing.T) {
	guard(t)
	objects := ownObjects(t)
	for who, as := range writers(t) {
		for what, o := range objects {
			patch := func(body string) error { return patching(o, body)(t.Context(), as) }
			content := map[string]string{
				"Secret": `{"data":{"epoch":"eA=="}}`, "ConfigMap": `{"data":{"state":"begun"}}`,
				"KubeVisionSession":        `{"spec":{"refreshTokenHash":"` + strings.Repeat("b", 64) + `"}}`,
				"KubeVisionLoginThrottle":  `{"spec":{"failures":1}}`,
				names.LastAdminParameter:   `{"spec":{"lastAdmin":{"user":"mallory"}}}`,
				names.ObjectQuotaParameter: `{"spec":{"objectQuota":{"users":{"limit":1000000}}}}`,
			}
			for _, body := range []string{
				cmp.Or(content[o.GetKind()], content[o.GetName()]),
				`{"metadata":{"labels":{"kubevision.io/user":"mallory"}}}`,
				`{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`,
				`{"metadata":{"annotations":{"kubevision.io/password-source":"x"}}}`,
				`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"x","uid":"x",` +
					`"controller":true}]}}`,
			} {
				if strings.Contains(body, "managed-by") && (what == "session" || what == "throttle") {
					continue // this kind has no such fields
				}
				if err := refusedBy(ownObjectsPolicy, patch(body)); err != nil {
					t.Errorf("%s patches %s with %s: %v", who, what, body, err)
				}
			}
			mayPatch(t, as, o, `{"metadata":{"labels":{"team":"web"}}}`,
				`{"metadata":{"finalizers":["example.com/f"]}}`)
			if o.GetKind() == "Secret" {
				applied := o.DeepCopy()
				applied.Object["stringData"] = object{"x": "y"}
				err := as.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("x"),
					client.DryRunAll)
				if err := errors.Join(refusedBy(ownObjectsPolicy, err),
					refusedBy(ownObjectsPolicy, patch(`{"immutable":true}`))); err != nil {
					t.Errorf("%s applies %s, or makes it immutable: %v", who, what, err)
				}
			}
			err := as.Delete(t.Context(), o.DeepCopy(), client.DryRunAll)
			if who == "a writer" && (o.GetNamespace() != "" || content[o.GetName()] != "") {
				err = refusedBy(ownObjectsPolicy+"-deletion", err)
			}
			if err != nil {
				t.Errorf("%s deletes %s: %v", who, what, err)
			}
		}
	}
}

func TestOnlyKubeVisionWritesStatus(t *testing.T) {
	guard(t)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named("nowhere"), grants.ToUser(u.Name))
	c := host(t)
	status := merge(`{"status":{"observedGeneration":42}}`)
	for who, as := range writers(t) {
		for _, o := range []client.Object{u.DeepCopy(), b.DeepCopy(), c.DeepCopy()} {
			if err := refusedBy(ownObjectsPolicy,
				as.Status().Patch(t.Context(), o, status, client.DryRunAll)); err != nil {
				t.Errorf("%s writes the status of %T: %v", who, o, err)
			}
		}
	}
}
