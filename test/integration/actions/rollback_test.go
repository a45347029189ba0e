// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type revision struct {
	Revision    int64       `json:"revision"`
	ChangeCause *string     `json:"changeCause"`
	Name        string      `json:"name"`
	CreatedAt   metav1.Time `json:"createdAt"`
	Current     bool        `json:"current"`
	Images      []string    `json:"images"`
}

// history returns the rollout history of a workload. It also returns a summary of the history, which contains only the
// revision numbers and the images.
func history(t *testing.T, a actor, path string) (list []revision, summary string) {
	t.Helper()
	a.get(t, path+"/history").Want(t, wire.OK).Into(t, &list)
	var text strings.Builder
	for i, r := range list {
		if r.ChangeCause == nil || r.Name == "" || r.CreatedAt.IsZero() || r.Current != (i == len(list)-1) {
			t.Errorf("an entry is incomplete: %+v", r)
		}
		fmt.Fprintf(&text, "%d:%v ", r.Revision, r.Images)
	}
	return list, text.String()
}

func TestRollbackDeployment(t *testing.T) {
	ns := set().Namespace(t, "rollback")
	dev := newActor(t, "dev", ns)
	d := deployment(t, ns, "web", 0)
	deployment(t, ns, "other", 0) // it has the same labels, but its own ReplicaSet
	path := "/namespaces/" + ns + "/deployments/web"
	refused(t, dev.post(t, path+"/rollback", `{"revision":0}`), wire.Conflict, "")

	update(t, d,
		`{"metadata":{"annotations":{"kubernetes.io/change-cause":"two"}},`+
			`"spec":{"template":{"metadata":{"annotations":{"added":"x"}},`+
			`"spec":{"terminationGracePeriodSeconds":7,"containers":[{"name":"main","image":"web:2"},{"name":"side",`+
			`"image":"side:2"}]}}}}`)
	set().AtRevision(t, d, 2)
	list, short := history(t, dev, path)
	if short != "1:[web:1] 2:[web:2 side:2] " || *list[1].ChangeCause != "two" || *list[0].ChangeCause != "" {
		t.Fatalf("the history is %s%+v", short, list)
	}

	var done struct {
		Revision int64
		Changed  bool
	}
	dev.post(t, path+"/rollback", `{"revision":0}`).Want(t, wire.OK).Into(t, &done)
	if spec := read(t, d).Spec.Template; done.Revision != 1 || !done.Changed || len(spec.Spec.Containers) != 1 ||
		spec.Spec.Containers[0].Image != "web:1" ||
		spec.Annotations["added"] != "" || spec.Labels["pod-template-hash"] != "" ||
		*spec.Spec.TerminationGracePeriodSeconds != 30 ||
		d.Annotations["kubernetes.io/change-cause"] != "" {
		t.Errorf("after a rollback, %+v: %+v %+v", done, d.Annotations, spec)
	}
	set().AtRevision(t, d, 3) // the ReplicaSet of revision 1 now has revision 3
	if _, short := history(t, dev, path); short != "2:[web:2 side:2] 3:[web:1] " {
		t.Errorf("the history is %s", short)
	}
	dev.post(t, "/resources/deployments/web/rollback?namespace="+ns, `{"revision":2}`).Want(t, wire.OK)
	set().AtRevision(t, d, 4)
	if spec := d.Spec.Template; len(spec.Spec.Containers) != 2 || spec.Annotations["added"] != "x" ||
		d.Annotations["kubernetes.io/change-cause"] != "two" {
		t.Errorf("after a rollback to 2: %+v %+v", d.Annotations, spec)
	}
	before := read(t, d).Generation
	dev.post(t, "/namespaces/"+ns+"/resources/deployments/web/rollback",
		`{"revision":4}`).Want(t, wire.OK).Into(t, &done)
	if done.Changed || read(t, d).Generation != before {
		t.Errorf("a rollback to the current revision: %+v", done)
	}

	for body, want := range map[string]struct {
		code  int
		field string
	}{
		`{"revision":1}`: {wire.NotFound, ""}, `{"revision":99}`: {wire.NotFound, ""},
		`{"revision":-1}`: {wire.Invalid, "revision"},
		`{}`:              {wire.Required, "revision"}, ``: {wire.Required, "body"},
		`{"revision":"1"}`: {wire.Invalid, "revision"},
	} {
		refused(t, dev.post(t, path+"/rollback", body), want.code, want.field)
	}
	update(t, d, `{"spec":{"paused":true}}`)
	refused(t, dev.post(t, path+"/rollback", `{"revision":3}`), wire.Conflict, "")
	refused(t, dev.get(t, "/namespaces/"+ns+"/deployments/none/history"), wire.NotFound, "")
	refused(t, dev.get(t, "/namespaces/"+ns+"/replicasets/web/history"), wire.Invalid, "resource")
}

// TestRollbackWhileAnnotationsChange verifies that a rollback succeeds even if an annotation of the Deployment changes
// at the same time. The Deployment controller changes annotations in each rollout. Each change of an annotation
// increases the generation of the Deployment.
func TestRollbackWhileAnnotationsChange(t *testing.T) {
	ns := set().Namespace(t, "rollback-annotated")
	dev := newActor(t, "dev", ns)
	d := deployment(t, ns, "web", 0)
	update(t, d, `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:2"}]}}}}`)
	set().AtRevision(t, d, 2)

	path := "/namespaces/" + ns + "/deployments/web/rollback"
	begun := time.Now()
	dev.post(t, path, `{"revision":0}`).Want(t, wire.OK)
	pause := 5 * time.Since(begun) // A rollback needs less time, so that one of its attempts succeeds.
	changed := d.DeepCopy()
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	defer writer.Wait()
	defer cancel()
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"count":"%d"}}}`, i)
			err := set().Client.Patch(ctx, changed, client.RawPatch(types.MergePatchType, patch))
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			time.Sleep(pause)
		}
	})
	for range 40 {
		dev.post(t, path, `{"revision":0}`).Want(t, wire.OK)
	}
}

func TestRollbackOthers(t *testing.T) {
	ns := set().Namespace(t, "rollback-others")
	dev := newActor(t, "dev", ns)
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "store"},
		Spec:       appsv1.StatefulSetSpec{Replicas: new(int32(0)), Selector: selector(), Template: template("it:1")},
	}
	a := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "agent"},
		Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: template("it:1")},
	}
	for path, w := range map[string]struct {
		object client.Object
		image  func() string
	}{
		"/namespaces/" + ns + "/statefulsets/store": {s,
			func() string { return read(t, s).Spec.Template.Spec.Containers[0].Image }},
		"/namespaces/" + ns + "/daemonsets/agent": {a,
			func() string { return read(t, a).Spec.Template.Spec.Containers[0].Image }},
	} {
		t.Run(path, func(t *testing.T) {
			set().Create(t, w.object)
			becomes := func(want string) {
				t.Helper()
				fixture.Eventually(t, "wait for the history "+want, func(context.Context) error {
					if _, short := history(t, dev, path); short != want {
						return fmt.Errorf("it is %s", short)
					}
					return nil
				})
			}
			becomes("1:[it:1] ")
			update(t, w.object, `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"it:2"}]}}}}`)
			becomes("1:[it:1] 2:[it:2] ")
			dev.post(t, path+"/rollback", `{"revision":0}`).Want(t, wire.OK)
			if got := w.image(); got != "it:1" {
				t.Errorf("the image is %s", got)
			}
			becomes("2:[it:2] 3:[it:1] ")
		})
	}
}
