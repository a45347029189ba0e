// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRollbackOfChangedDeployment verifies that a rollback fails if the Deployment is changed or paused between the
// read and the write of the rollback.
func TestRollbackOfChangedDeployment(t *testing.T) {
	d := newConcurrentDeployment(t, "rollback")
	for _, change := range []string{
		`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:3"}]}}}}`, `{"spec":{"paused":true}}`,
	} {
		d.post(t, "/rollback", `{"revision":1}`, change).Want(t, wire.Stale)
		if image := d.template(t).Spec.Containers[0].Image; image != "web:3" {
			t.Errorf("after the change %s, the image is %s", change, image)
		}
	}
}
