// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// withoutOwner returns the metadata with which backup programs restore an object: without a UID and an owner.
func withoutOwner(o client.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), Labels: o.GetLabels(), Annotations: o.GetAnnotations(),
	}
}

// TestManageRestoredUser verifies that the API can change the role of a user who was restored from a backup, and that
// it deletes the objects of the user together with the user.
func TestManageRestoredUser(t *testing.T) {
	c, a := direct(t), newActor(t, "admin")
	name := fixture.Name("restored")
	user, secret, grant := madeFor(name)
	set().Later(t, user)
	c.Call(t, as(a.AccessToken, post(t, "/users", fields{
		"username": name, "password": anotherPassword, "role": "viewer",
	}))).Want(t, wire.OK)
	for _, o := range []client.Object{user, secret, grant} {
		present(t, o)
	}
	restored := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: withoutOwner(user), Spec: user.Spec}
	backup := []client.Object{
		&corev1.Secret{ObjectMeta: withoutOwner(secret), Data: secret.Data}, restored,
		&kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: withoutOwner(grant), Spec: grant.Spec},
	}
	c.Call(t, as(a.AccessToken, remove("/users/"+name))).Want(t, wire.OK)
	absent(t, user, secret)
	set().Gone(t, grant)

	for _, o := range backup {
		set().Create(t, o)
	}
	annotate := client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"`+names.AdoptCredentialsAnnotation+`":""}}}`))
	fixture.Eventually(t, "set the annotation of "+name, func(ctx context.Context) error {
		return env.Client.Patch(ctx, restored, annotate)
	})
	fixture.Eventually(t, "wait for the adoption", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(restored), restored); err != nil {
			return fmt.Errorf("reading the user: %w", err)
		}
		if _, ok := restored.Annotations[names.AdoptCredentialsAnnotation]; ok {
			return errors.New("the annotation exists")
		}
		return nil
	})

	var shown shownUser
	c.Call(t, as(a.AccessToken, put(t, "/users/"+name, fields{"role": "editor"}))).Want(t, wire.OK).Into(t, &shown)
	if shown.Role != "editor" {
		t.Errorf("the role is %s", shown.Role)
	}
	c.Call(t, as(a.AccessToken, remove("/users/"+name))).Want(t, wire.OK)
	absent(t, restored, secret)
	set().Gone(t, grant)
}
