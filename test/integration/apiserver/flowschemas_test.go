// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestFlowSchemas verifies with which priority the host treats requests to the dashboard's API, those of the programs
// themselves, and those that act as users.
func TestFlowSchemas(t *testing.T) {
	program, err := env.Cluster.ServiceAccountConfig(t.Context(), fixture.SystemNamespace, "kubevision-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	const namespaces = "/api/v1/namespaces"
	for _, tc := range []struct {
		name, path, want string
		client           *wire.Client
	}{
		{"the dashboard's API", wire.GroupPath + me, "kubevision-dashboard", kube(t, "somebody")},
		{"a program", namespaces, "kubevision-programs", wire.Configured(t, program)},
		{"a user of KubeVision", namespaces, "global-default", kube(t, "kubevision:somebody", "kubevision:users")},
	} {
		schema := &flowcontrolv1.FlowSchema{}
		if err := env.Client.Get(t.Context(), client.ObjectKey{Name: tc.want}, schema); err != nil {
			t.Fatal(err)
		}
		header := tc.client.Send(t, wire.Request{Path: tc.path}).Header
		got := header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID)
		if got != string(schema.UID) {
			t.Errorf("%s: the host has applied FlowSchema %s, want %s (%s)", tc.name, got, tc.want, schema.UID)
		}
	}
}
