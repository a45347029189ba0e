// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

// TestUpdate verifies that an update changes only those fields of a KubeVisionCluster that are in the request body. The
// field resourceVersion is optional.
func TestUpdate(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	for name, tc := range map[string]struct {
		body fields
		// version adds the current version to the body.
		version       bool
		display, tier string
	}{
		"no fields":                {fields{}, false, "A member", "test"},
		"a name":                   {fields{"displayName": "Another"}, false, "Another", "test"},
		"an empty name":            {fields{"displayName": ""}, false, "", "test"},
		"labels":                   {fields{"labels": fields{"tier": "other"}}, false, "A member", "other"},
		"no labels":                {fields{"labels": fields{}}, false, "A member", ""},
		"the current version":      {fields{"displayName": "Another"}, true, "Another", "test"},
		"an empty version, a name": {fields{"displayName": "Another", "resourceVersion": ""}, false, "Another", "test"},
	} {
		t.Run(name, func(t *testing.T) {
			c := e.register(t)
			if tc.version {
				tc.body["resourceVersion"] = c.ResourceVersion
			}
			answer := e.Call(t, operator, put, "/clusters/"+c.Name, tc.body).Want(t, wire.OK)
			e.present(t, c)
			if c.Spec.DisplayName != tc.display || c.Labels["tier"] != tc.tier {
				t.Errorf("the name is %q, the labels are %v", c.Spec.DisplayName, c.Labels)
			}
			if !strings.Contains(string(answer.Data), `"resourceVersion":"`+c.ResourceVersion+`"`) {
				t.Errorf("the response does not contain version %s: %s", c.ResourceVersion, answer.Data)
			}
		})
	}
}

// TestRejectedUpdates verifies that a rejected update changes neither the KubeVisionCluster nor its kubeconfig Secret.
// If only the write of the Secret fails, the change of the KubeVisionCluster must be reverted.
func TestRejectedUpdates(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	current := map[string][]byte{"kubeconfig": []byte("current")}
	rotation := fields{"displayName": "Another", "kubeconfig": valid()}
	for name, tc := range map[string]struct {
		caller  user.Info
		body    fields
		secret  map[string][]byte
		prepare func(*testing.T, *kubevisionv1alpha1.KubeVisionCluster)
		code    int
		field   string
	}{
		"a stale version": {operator, rotation.with(fields{"resourceVersion": "1"}), current, nil, wire.Stale, ""},
		"an earlier version": {operator, fields{"displayName": "Another"}, current,
			func(t *testing.T, c *kubevisionv1alpha1.KubeVisionCluster) {
				t.Helper()
				controlplane.Change(t, e.Client, c.DeepCopy(), func(c *kubevisionv1alpha1.KubeVisionCluster) {
					c.Annotations = map[string]string{"changed": "by another writer"}
				})
			}, wire.Stale, ""},
		"an unreadable kubeconfig": {operator, rotation.with(fields{"kubeconfig": "\t" + canary}), current, nil,
			wire.Invalid, "kubeconfig"},
		"an empty kubeconfig": {operator, rotation.with(fields{"kubeconfig": ""}), current, nil, wire.Required,
			"kubeconfig"},
		"a denied address": {operator, rotation.with(fields{
			"kubeconfig": fixture.Kubeconfig("https://127.0.0.1", canary, ""),
		}), current, nil, wire.Invalid, "kubeconfig"},
		"the host cluster": {operator, rotation, nil, func(t *testing.T, c *kubevisionv1alpha1.KubeVisionCluster) {
			t.Helper()
			e.Delete(t, c)
			*c = *clusterNamed(c.Name)
			c.Spec = kubevisionv1alpha1.KubeVisionClusterSpec{InCluster: true, DisplayName: "A member"}
			e.Create(t, c)
		}, wire.Invalid, "kubeconfig"},
		"an unknown field": {operator, rotation.with(fields{"authType": "in-cluster"}), current, nil, wire.Invalid,
			"authType"},
		"an invalid label": {operator, rotation.with(fields{"labels": fields{"a": "not a value"}}), current, nil,
			wire.Rejected, ""},
		"a Secret without the key": {operator, rotation, map[string][]byte{"other": []byte("current")}, nil,
			wire.Conflict, ""},
		"no right to read the Secret": {e.caller(t, onClusters("*")), rotation, current, nil, wire.Forbidden, ""},
		"no right to write the Secret": {e.caller(t, onClusters("*"), onSecrets("get")), rotation, current, nil,
			wire.Forbidden, ""},
		"no right to write the cluster": {e.caller(t, onClusters("get"), onSecrets("*")), rotation, current, nil,
			wire.Forbidden, ""},
		"a refused Secret": {operator, rotation, current, func(t *testing.T, c *kubevisionv1alpha1.KubeVisionCluster) {
			t.Helper()
			e.refuseSecret(t, c.Name, "UPDATE")
		}, wire.Rejected, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := e.register(t)
			secret := secretOf(c.Name, tc.secret)
			if tc.secret != nil {
				e.Create(t, secret)
			}
			body := tc.body
			if name == "an earlier version" {
				body = body.with(fields{"resourceVersion": c.ResourceVersion})
			}
			if tc.prepare != nil {
				tc.prepare(t, c)
			}
			answer := e.Call(t, tc.caller, put, "/clusters/"+c.Name, body).Want(t, tc.code)
			if answer.Meta.Field != tc.field || strings.Contains(string(answer.Raw), canary) {
				t.Errorf("meta.field is not %q, or the response contains the kubeconfig: %s", tc.field, answer.Raw)
			}
			e.present(t, c)
			if c.Spec.DisplayName != "A member" {
				t.Errorf("the registration was changed: %+v", c.Spec)
			}
			if tc.secret == nil {
				e.wantAbsent(t, secret)
				return
			}
			e.present(t, secret)
			for key, value := range tc.secret {
				if !bytes.Equal(secret.Data[key], value) || len(secret.Data) != 1 {
					t.Errorf("the Secret was changed: %q", secret.Data)
				}
			}
		})
	}
}

// TestRotation verifies that an update with a kubeconfig replaces the value of one data key of a Secret. The
// registration specifies the Secret and the data key. If the Secret does not exist, the update must create the Secret.
func TestRotation(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	for name, key := range map[string]string{"default key": "", "another key": "config"} {
		for _, exists := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", existing Secret", false: ", missing Secret"}[exists],
				func(t *testing.T) { e.rotates(t, operator, key, exists) })
		}
	}
}

func (e *endpoints) rotates(t *testing.T, operator user.Info, key string, exists bool) {
	t.Helper()
	c := e.register(t)
	if key != "" {
		controlplane.Change(t, e.Client, c, func(c *kubevisionv1alpha1.KubeVisionCluster) {
			c.Spec.KubeconfigSecretRef.Key = key
		})
	} else {
		key = "kubeconfig"
	}
	secret := secretOf(c.Name, map[string][]byte{key: []byte("current"), "other": []byte("kept")})
	if exists {
		e.Create(t, secret)
	}
	e.Later(t, secret)
	answer := e.Call(t, operator, put, "/clusters/"+c.Name, fields{"kubeconfig": valid()}).Want(t, wire.OK)
	if strings.Contains(string(answer.Raw), canary) {
		t.Errorf("the response contains the kubeconfig: %s", answer.Raw)
	}
	found := secretOf(c.Name, nil)
	e.present(t, found)
	if string(found.Data[key]) != valid() || (string(found.Data["other"]) == "kept") != exists {
		t.Errorf("the Secret contains %q", found.Data)
	}
	if owned := ownedBy(found, c); owned == exists {
		t.Errorf("the owners of the Secret are %v", found.OwnerReferences)
	}
}

func ownedBy(secret *corev1.Secret, c *kubevisionv1alpha1.KubeVisionCluster) bool {
	return len(secret.OwnerReferences) == 1 && secret.OwnerReferences[0].UID == c.UID
}

func TestDelete(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	c := e.register(t)
	path := "/clusters/" + c.Name
	e.Call(t, e.caller(t, onClusters("get")), http.MethodDelete, path, nil).Want(t, wire.Forbidden)
	e.present(t, c)
	e.Call(t, operator, http.MethodDelete, path, nil).Want(t, wire.OK)
	e.wantAbsent(t, c)
	for method, body := range map[string]any{http.MethodDelete: nil, get: nil, put: fields{"displayName": "x"}} {
		e.Call(t, operator, method, path, body).Want(t, wire.ClusterNotFound)
	}
	e.Call(t, operator, post, "/clusters/"+unregistered+"/test", nil).Want(t, wire.ClusterNotFound)
	e.Call(t, operator, http.MethodDelete, "/clusters/No_Name", nil).Want(t, wire.Invalid)
	e.Call(t, operator, http.MethodDelete, "/clusters/"+fixture.Name("missing"), nil).Want(t, wire.ClusterNotFound)
}
