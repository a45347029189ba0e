// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestPasswordStaysInItsSecret verifies that the password of a user appears only in the password Secret, and not in
// other objects or in logs.
func TestPasswordStaysInItsSecret(t *testing.T) {
	guard(t) // verifies that the logs do not contain the password
	value := newPassword()
	source := newSource(t, value)
	u := newUser(t, source.Name)
	awaitReady(t, u)
	login := awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
	awaitToken(t, login.AccessToken, dashboardv1alpha1.CodeOK)
	change(t, source, func(s *corev1.Secret) { s.Data[names.PasswordKey] = []byte(value + strings.Repeat("x", 2000)) })
	awaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretInvalid)
	change(t, source, func(s *corev1.Secret) { s.Data[names.PasswordKey] = []byte("$argon2id$" + value) })
	awaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretInvalid)

	for _, list := range []client.ObjectList{
		&kubevisionv1alpha1.KubeVisionUserList{}, &kubevisionv1alpha1.KubeVisionSessionList{},
		&kubevisionv1alpha1.KubeVisionRoleBindingList{},
		&kubevisionv1alpha1.KubeVisionClusterList{}, &corev1.ConfigMapList{}, &eventsv1.EventList{},
	} {
		if err := env.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{value, base64.StdEncoding.EncodeToString([]byte(value)), login.AccessToken,
			login.RefreshToken} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%T contains a secret", list)
			}
		}
	}
	var secrets corev1.SecretList
	if err := env.Client.List(t.Context(), &secrets); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		for key, data := range s.Data {
			if s.Name != source.Name && (bytes.Contains(data, []byte(value)) ||
				bytes.Contains(data, []byte(login.RefreshToken))) {
				t.Errorf("key %s of Secret %s contains a secret", key, s.Name)
			}
		}
	}
	for _, file := range logFiles(t) {
		text := logText(t, file)
		if strings.Contains(text, login.AccessToken) || strings.Contains(text, login.RefreshToken) {
			t.Errorf("%s contains a token", file)
		}
	}
}
