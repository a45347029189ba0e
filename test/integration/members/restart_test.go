// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRestartOfChangedDeployment verifies a restart while another client changes the Deployment:
//   - The restart fails and changes nothing if the Deployment is paused.
//   - The restart succeeds if the Deployment is paused only briefly.
//   - The restart succeeds if only annotations of the Pod template change.
func TestRestartOfChangedDeployment(t *testing.T) {
	const restartedAt = "kubectl.kubernetes.io/restartedAt"
	d := newConcurrentDeployment(t, "restart")
	const pause, resume = `{"spec":{"paused":true}}`, `{"spec":{"paused":false}}`
	d.post(t, "/restart", "", pause).Want(t, wire.Conflict)
	if got := d.template(t).Annotations; len(got) > 0 {
		t.Errorf("a restart during a pause has set the annotations %v", got)
	}

	d.patch(t, resume)
	d.post(t, "/restart", "", pause, resume).Want(t, wire.OK)
	d.patch(t, `{"spec":{"template":{"metadata":{"annotations":null}}}}`)
	for _, tc := range []struct {
		change string
		want   int // annotations after the restart
	}{
		{`{"spec":{"template":{"metadata":{"annotations":{"a":"1"}}}}}`, 2},
		{`{"spec":{"template":{"metadata":{"annotations":null}}}}`, 1},
	} {
		d.post(t, "/restart", "", tc.change).Want(t, wire.OK)
		if got := d.template(t).Annotations; got[restartedAt] == "" || len(got) != tc.want {
			t.Errorf("after the change %s and a restart, the annotations are %v", tc.change, got)
		}
	}
}

// TestRestartOfAlwaysChangedDeployment verifies that the restart of a Deployment ends with an error after five failed
// patches. Another client pauses the Deployment before each patch, so that the patch fails. After the patch, this
// client resumes the Deployment.
func TestRestartOfAlwaysChangedDeployment(t *testing.T) {
	const attempts = 5
	d := newConcurrentDeployment(t, "restart-always")
	answer, patches := d.postDuringPatches(
		t, 2*attempts, "/restart", "", `{"spec":{"paused":true}}`, `{"spec":{"paused":false}}`)
	answer.Want(t, wire.Stale)
	if patches != attempts {
		t.Errorf("the restart sent %d patches, want %d", patches, attempts)
	}
	if got := d.template(t).Annotations; len(got) > 0 {
		t.Errorf("the restart has set the annotations %v", got)
	}
}
