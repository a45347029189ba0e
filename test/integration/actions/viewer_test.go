// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestViewers verifies that a user who may only read cannot change anything.
func TestViewers(t *testing.T) {
	ns, n := set().Namespace(t, "viewer"), node(t)
	viewer := newActor(t, "readonly")
	d := deployment(t, ns, "web", 1)
	update(t, d, `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:2"}]}}}}`)
	set().AtRevision(t, d, 2)
	alone := barePod(t, ns, "alone", n, func(*corev1.Pod) {})
	config := &corev1.ConfigMap{}
	config.Namespace, config.Name = ns, "config"
	set().Create(t, config)

	inNamespace, byQuery := "/namespaces/"+ns, "?namespace="+ns
	viewer.get(t, inNamespace+"/deployments/web/history").Want(t, wire.OK)
	kept := []client.Object{read(t, n), read(t, alone), read(t, config)}
	versions := make([]string, 0, len(kept))
	for _, o := range kept {
		versions = append(versions, o.GetResourceVersion())
	}
	generation := read(t, d).Generation
	for _, tc := range []struct{ method, path, body string }{
		{http.MethodPut, inNamespace + "/deployments/web/scale", `{"replicas":5}`},
		{http.MethodPut, inNamespace + "/resources/deployments/web/scale", `{"replicas":5}`},
		{http.MethodPut, "/resources/deployments/web/scale" + byQuery, `{"replicas":5}`},
		{http.MethodPost, inNamespace + "/deployments/web/restart", ``},
		{http.MethodPost, inNamespace + "/resources/deployments/web/restart", ``},
		{http.MethodPost, "/resources/deployments/web/restart" + byQuery, ``},
		{http.MethodPost, inNamespace + "/pods/alone/restart", ``},
		{http.MethodPost, inNamespace + "/deployments/web/rollback", `{"revision":0}`},
		{http.MethodPost, inNamespace + "/deployments/web/rollback", `{"revision":2}`},
		{http.MethodPost, inNamespace + "/resources/deployments/web/rollback", `{"revision":1}`},
		{http.MethodPost, "/resources/nodes/" + n.Name + "/cordon", ``},
		{http.MethodPost, "/resources/nodes/" + n.Name + "/uncordon", ``},
		{http.MethodPost, "/resources/nodes/" + n.Name + "/drain", `{"force":true,"deleteEmptyDirData":true}`},
		{http.MethodPost, "/resources/nodes/" + n.Name + "/drain", `{"dryRun":true}`},
	} {
		if e := viewer.call(t, tc.method, tc.path, tc.body); e.Code != wire.Forbidden {
			t.Errorf("%s %s: code %d (%s), want %d", tc.method, tc.path, e.Code, e.Message, wire.Forbidden)
		}
	}
	for path, body := range map[string]string{
		"/resources/batch-delete": fmt.Sprintf(
			`[{"resource":"configmaps","name":"config","namespace":%q},{"resource":"pods","name":"alone",`+
				`"namespace":%q}]`, ns, ns),
		"/batch-restart": fmt.Sprintf(
			`[{"kind":"deployments","name":"web","namespace":%q},{"kind":"pods","name":"alone","namespace":%q}]`,
			ns, ns),
	} {
		var out []outcome
		viewer.post(t, path, body).Want(t, wire.OK).Into(t, &out)
		for _, o := range out {
			o.want(t, *o.Name, wire.Forbidden)
		}
	}
	if got := read(t, d).Generation; got != generation {
		t.Errorf("the deployment was changed: generation %d, was %d", got, generation)
	}
	for i, o := range kept {
		if got := read(t, o).GetResourceVersion(); got != versions[i] {
			t.Errorf("%T %s was changed", o, o.GetName())
		}
	}
}

// TestStrangers verifies that:
//
//   - A user without rights in a namespace does not learn whether the namespace exists.
//   - Requests for a cluster that the user may not use are rejected.
//   - Requests without a token are rejected.
func TestStrangers(t *testing.T) {
	ns, others := set().Namespace(t, "strangers"), set().Namespace(t, "strangers-others")
	dev := newActor(t, "dev", ns)
	deployment(t, others, "web", 0)
	for _, name := range []string{others, others + "-none"} {
		dev.put(t, "/namespaces/"+name+"/deployments/web/scale", `{"replicas":1}`).Want(t, wire.NamespaceForbidden)
		dev.post(t, "/namespaces/"+name+"/deployments/web/restart", ``).Want(t, wire.NamespaceForbidden)
		dev.post(t, "/namespaces/"+name+"/deployments/web/rollback", `{"revision":0}`).Want(t, wire.NamespaceForbidden)
		dev.get(t, "/namespaces/"+name+"/deployments/web/history").Want(t, wire.NamespaceForbidden)
	}
	for _, path := range []string{"/resources/nodes/x/drain", "/resources/batch-delete", "/batch-restart",
		"/namespaces/x/deployments/y/restart"} {
		e := dev.client.Call(t, wire.Request{Method: http.MethodPost,
			Path: wire.DirectPath + "/clusters/elsewhere" + path, Bearer: dev.token, Body: `[]`})
		e.Want(t, wire.ClusterForbidden)
		e = dev.client.Call(t, wire.Request{Method: http.MethodPost, Path: wire.DirectPath + onHost + path, Body: `[]`})
		e.Want(t, wire.Unauthenticated)
	}
}
