// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// aged is a signing key that was made a while ago.
func aged(tb testing.TB, ago time.Duration) (name string, value []byte) {
	tb.Helper()
	name, value, err := token.NewKey(time.Now().Add(-ago))
	if err != nil {
		tb.Fatal(err)
	}
	return name, value
}

// TestSigningKeysRotate: the old key stays until nothing that it signed is valid, and one that has served its time goes.
func TestSigningKeysRotate(t *testing.T) {
	const day = 24 * time.Hour
	guard(t)
	before := read(t, ownSecret(names.SigningKeysSecret)).Data
	defer change(t, ownSecret(names.SigningKeysSecret), func(s *corev1.Secret) { s.Data = before })
	gone, goneKey := aged(t, 70*day)
	old, oldKey := aged(t, 31*day)
	change(t, ownSecret(names.SigningKeysSecret), func(s *corev1.Secret) { s.Data = map[string][]byte{gone: goneKey, old: oldKey} })
	eventually(t, soon, "find another key", func(ctx context.Context) error {
		s := ownSecret(names.SigningKeysSecret)
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		keys, err := token.ParseKeys(s.Data)
		if err != nil {
			return err
		}
		if len(keys) != 2 || keys[0].ID+".pem" != old || time.Since(keys[1].Created) > time.Minute {
			return fmt.Errorf("there are %d keys", len(keys))
		}
		return nil
	})
}
