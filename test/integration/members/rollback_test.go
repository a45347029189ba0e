// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
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

// TestDeploymentChangesBeforePatch verifies that a rollback fails if the Deployment is changed or paused between the
// read and the write of the rollback, and that a restart returns a warning if the Deployment is paused in this moment.
func TestDeploymentChangesBeforePatch(t *testing.T) {
	member := theOther(t)
	f, c := registerThroughFront(t, member)
	p := login(t, "rollback")
	set().Bind(t, "rollback", fixture.Grant{Role: kubevisionv1alpha1.RoleDev, Cluster: c.Name,
		Subjects: fixture.KubeVisionUsers(p.User)})
	d := deploymentWithHistory(t, member)
	path := "/namespaces/" + d.Namespace + "/deployments/" + d.Name
	p.becomes(t, fixture.Patience, c.Name, path+"/history", wire.OK)

	// post sends the action, and applies change to the Deployment immediately before the patch of the action.
	post := func(action, body, change string) wire.Envelope {
		t.Helper()
		defer f.set(nil)
		f.set(beforePatch(path, func(ctx context.Context) error {
			patch := client.RawPatch(types.StrategicMergePatchType, []byte(change))
			return member.admin.Patch(ctx, d.DeepCopy(), patch)
		}))
		return p.client.Call(t, wire.Request{
			Method: http.MethodPost, Path: wire.DirectPath + "/clusters/" + c.Name + path + action,
			Bearer: p.token, Body: body,
		})
	}
	const pause = `{"spec":{"paused":true}}`
	for _, change := range []string{
		`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:3"}]}}}}`, pause,
	} {
		post("/rollback", `{"revision":1}`, change).Want(t, wire.Stale)
		if err := member.admin.Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
			t.Fatal(err)
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; image != "web:3" {
			t.Errorf("after the change %s, the image is %s", change, image)
		}
	}

	resume := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"paused":false}}`))
	if err := member.admin.Patch(t.Context(), d, resume); err != nil {
		t.Fatal(err)
	}
	e := post("/restart", "", pause).Want(t, wire.OK)
	if !strings.Contains(strings.Join(e.Meta.Warnings, "\n"), "was paused") {
		t.Errorf("a restart during a pause returned the warnings %q", e.Meta.Warnings)
	}
	if err := member.admin.Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
		t.Fatal(err)
	}
	if d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Error("the restart has not changed the Pod template")
	}
}

// beforePatch returns a handler that calls change before it forwards the first patch of the object at path.
func beforePatch(
	path string, change func(context.Context) error,
) func(next http.Handler, w http.ResponseWriter, r *http.Request) {
	var once sync.Once
	return func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, path) {
			var err error
			once.Do(func() { err = change(r.Context()) })
			if err != nil {
				http.Error(w, err.Error(), http.StatusTeapot)
				return
			}
		}
		next.ServeHTTP(w, r)
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
