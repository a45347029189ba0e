// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestADrainTakesNoCode verifies that a drain may evict a Pod of kube-system without a code of the second factor. A
// request to delete or restart a Pod of kube-system must require the code.
func TestADrainTakesNoCode(t *testing.T) {
	admin, n := newActor(t, "admin"), node(t)
	fixture.Enrol(t, admin.client, wire.DirectPath, admin.token)
	p := barePod(t, "kube-system", fixture.Name("evicted"), n, func(*corev1.Pod) {})
	admin.call(t, http.MethodDelete, "/namespaces/kube-system/resources/pods/"+p.Name,
		"").Want(t, wire.TwoFactorRequired)
	admin.post(t, "/namespaces/kube-system/pods/"+p.Name+"/restart", "").Want(t, wire.TwoFactorRequired)
	if !there(t, p) {
		t.Fatal("the Pod was deleted without a code")
	}
	d, _ := admin.drain(t, n, wire.OK, `{"force":true,"gracePeriodSeconds":0}`)
	d.want(t, p.Name, "evicted", "")
}
