// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRollbackDuringAChange verifies that a rollback fails if the Deployment is changed or paused between the read and
// the write of the rollback.
func TestRollbackDuringAChange(t *testing.T) {
	member := theOther(t)
	f, c := registerThroughFront(t, member)
	p := login(t, "rollback")
	set().Bind(t, "rollback", fixture.Grant{Role: kubevisionv1alpha1.RoleDev, Cluster: c.Name,
		Subjects: fixture.KubeVisionUsers(p.User)})
	d := deploymentWithHistory(t, member)
	path := "/namespaces/" + d.Namespace + "/deployments/" + d.Name
	p.becomes(t, fixture.Patience, c.Name, path+"/history", wire.OK)

	rollback := wire.Request{
		Method: http.MethodPost, Path: wire.DirectPath + "/clusters/" + c.Name + path + "/rollback",
		Bearer: p.token, Body: `{"revision":1}`,
	}
	for _, change := range []string{
		`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:3"}]}}}}`,
		`{"spec":{"paused":true}}`,
	} {
		var once sync.Once
		f.set(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, path) {
				once.Do(func() {
					patch := client.RawPatch(types.StrategicMergePatchType, []byte(change))
					if err := member.admin.Patch(r.Context(), d.DeepCopy(), patch); err != nil {
						t.Error(err)
					}
				})
			}
			next.ServeHTTP(w, r)
		})
		p.client.Call(t, rollback).Want(t, wire.Stale)
		f.set(nil)
		if err := member.admin.Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
			t.Fatal(err)
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; image != "web:3" {
			t.Errorf("after the change %s, the image is %s", change, image)
		}
	}
}

// deploymentWithHistory creates a Deployment, and changes it once the Deployment controller has recorded the first
// revision. It returns when the second revision is recorded.
func deploymentWithHistory(t *testing.T, member *plane) *appsv1.Deployment {
	t.Helper()
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: member.set().Namespace(t, "rollback"), Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "web:1"}}},
			},
		},
	}
	member.set().Create(t, d)
	member.set().AtRevision(t, d, 1)
	patch := client.RawPatch(types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:2"}]}}}}`))
	if err := member.admin.Patch(t.Context(), d, patch); err != nil {
		t.Fatal(err)
	}
	member.set().AtRevision(t, d, 2)
	return d
}
