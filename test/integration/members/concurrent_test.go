// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"net/http"
	"strings"
	"sync/atomic"
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

// concurrentDeployment is a Deployment on a member. It changes while KubeVision handles the requests of a user.
type concurrentDeployment struct {
	*appsv1.Deployment

	member *plane
	front  *front
	user   *person
	path   string
	target string // the path of the Deployment in the API of KubeVision
}

func newConcurrentDeployment(t *testing.T, name string) concurrentDeployment {
	t.Helper()
	member := theOther(t)
	f, c := registerThroughFront(t, member)
	p := login(t, name)
	set().Bind(t, name, fixture.Grant{Role: kubevisionv1alpha1.RoleDev, Cluster: c.Name,
		Subjects: fixture.KubeVisionUsers(p.User)})
	d := deploymentWithHistory(t, member)
	path := "/namespaces/" + d.Namespace + "/deployments/" + d.Name
	p.becomes(t, fixture.Patience, c.Name, path+"/history", wire.OK)
	return concurrentDeployment{Deployment: d, member: member, front: f, user: p, path: path,
		target: wire.DirectPath + "/clusters/" + c.Name + path}
}

// post sends a POST request for the action to KubeVision, and returns the response. When KubeVision first patches the
// Deployment, post applies changeBefore immediately before the patch, and changesAfter immediately after the patch.
func (d concurrentDeployment) post(
	t *testing.T, action, body, changeBefore string, changesAfter ...string,
) wire.Envelope {
	t.Helper()
	e, _ := d.postDuringPatches(t, 1, action, body, changeBefore, changesAfter...)
	return e
}

// postDuringPatches sends a POST request for the action to KubeVision, and changes the Deployment at the same time.
// KubeVision handles the action with patches. At each of the first n patches, postDuringPatches applies changeBefore
// before the patch, and the changesAfter after the patch. patches is the number of patches that KubeVision sent.
func (d concurrentDeployment) postDuringPatches(
	t *testing.T, n int32, action, body, changeBefore string, changesAfter ...string,
) (answer wire.Envelope, patches int32) {
	t.Helper()
	defer d.front.set(nil)
	var count atomic.Int32
	d.front.set(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		isPatch := r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, d.path)
		changes := isPatch && count.Add(1) <= n
		if changes {
			d.patch(t, changeBefore)
		}
		next.ServeHTTP(w, r)
		if changes {
			for _, change := range changesAfter {
				d.patch(t, change)
			}
		}
	})
	answer = d.user.client.Call(t, wire.Request{
		Method: http.MethodPost, Path: d.target + action, Bearer: d.user.token, Body: body,
	})
	return answer, count.Load()
}

func (d concurrentDeployment) patch(t *testing.T, change string) {
	t.Helper()
	patch := client.RawPatch(types.StrategicMergePatchType, []byte(change))
	if err := d.member.admin.Patch(t.Context(), d.DeepCopy(), patch); err != nil {
		t.Error(err)
	}
}

func (d concurrentDeployment) template(t *testing.T) corev1.PodTemplateSpec {
	t.Helper()
	var found appsv1.Deployment
	if err := d.member.admin.Get(t.Context(), client.ObjectKeyFromObject(d), &found); err != nil {
		t.Fatal(err)
	}
	return found.Spec.Template
}

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
