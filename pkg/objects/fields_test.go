// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestHasField(t *testing.T) {
	core := func(kind string) schema.GroupVersionKind { return schema.GroupVersionKind{Version: "v1", Kind: kind} }
	for path, tc := range map[string]struct {
		kind       schema.GroupVersionKind
		has, known bool
	}{
		"metadata.name":       {core("Pod"), true, true},
		"metadata.labels.app": {core("Pod"), true, true},
		"kind":                {core("Pod"), true, true},
		"status.containerStatuses.0.restartCount":  {core("Pod"), true, true},
		"spec.resources.requests.storage":          {core("PersistentVolumeClaim"), true, true},
		"status.startTime":                         {core("Pod"), true, true},
		"status.startTime.seconds":                 {core("Pod"), false, true},
		"metadata.name.first":                      {core("Pod"), false, true},
		"restarts":                                 {core("Pod"), false, true},
		"Spec":                                     {core("Pod"), false, true},
		"spec.containers.0.livenessProbe.httpGet":  {core("Pod"), true, true},
		"spec.containers.0.livenessProbe.httpGet2": {core("Pod"), false, true},
		"spec.size": {schema.GroupVersionKind{Group: "example.com", Version: "v1",
			Kind: "Widget"}, false, false},
	} {
		has, known := HasField(tc.kind, strings.Split(path, ".")...)
		if has != tc.has || known != tc.known {
			t.Errorf("%s of %s: %v, %v", path, tc.kind.Kind, has, known)
		}
	}
}
