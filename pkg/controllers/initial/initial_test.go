// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package initial

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/event"
)

func TestSkip(t *testing.T) {
	p := Skip()
	if p.Create(event.CreateEvent{IsInInitialList: true}) {
		t.Error("a creation of the initial list passes")
	}
	if !p.Create(event.CreateEvent{}) || !p.Update(event.UpdateEvent{}) || !p.Delete(event.DeleteEvent{}) {
		t.Error("a change after it does not pass")
	}
}
