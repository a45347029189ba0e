// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
)

// recorder emits events about users in KubeVision's namespace. KubeVision's API server emits events about logins there,
// too.
type recorder struct {
	events.EventRecorder
}

// Eventf emits an event. If the event is about a KubeVisionUser, Eventf replaces the user by a reference with
// KubeVision's namespace, because events about cluster-scoped objects are created in the namespace "default".
func (r recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	if u, ok := regarding.(*kubevisionv1alpha1.KubeVisionUser); ok {
		regarding = audit.Reference(u)
	}
	r.EventRecorder.Eventf(regarding, related, eventType, reason, action, note, args...)
}
