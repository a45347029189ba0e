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

// TestFlowSchemas verifies the FlowSchema and the priority level that kube-apiserver applies to these requests:
//   - requests to the dashboard's API
//   - requests from the ServiceAccounts of KubeVision's programs
//   - requests with the identity of a KubeVision user
func TestFlowSchemas(t *testing.T) {
	program := func(name string) *wire.Client {
		config, err := env.Cluster.ServiceAccountConfig(t.Context(), fixture.SystemNamespace, name)
		if err != nil {
			t.Fatal(err)
		}
		return wire.Configured(t, config)
	}
	const namespaces = "/api/v1/namespaces"
	for _, tc := range []struct {
		name, path    string
		schema, level string
		client        *wire.Client
	}{
		{"the dashboard's API", wire.GroupPath + me, "kubevision-dashboard", "kubevision-dashboard",
			kube(t, "somebody")},
		{"the dashboard's API, without a credential", wire.GroupPath + me, "kubevision-dashboard",
			"kubevision-dashboard", wire.Configured(t, env.Cluster.AnonymousConfig())},
		{"the server", namespaces, "kubevision-programs", "workload-high", program("kubevision-apiserver")},
		{"the controllers", namespaces, "kubevision-programs", "workload-high",
			program("kubevision-controller-manager")},
		{"a user of KubeVision", namespaces, "global-default", "global-default",
			kube(t, "kubevision:somebody", "kubevision:users")},
	} {
		schema, level := &flowcontrolv1.FlowSchema{}, &flowcontrolv1.PriorityLevelConfiguration{}
		header := tc.client.Send(t, wire.Request{Path: tc.path}).Header
		for _, want := range []struct {
			client.Object
			name, header string
		}{
			{schema, tc.schema, flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID},
			{level, tc.level, flowcontrolv1.ResponseHeaderMatchedPriorityLevelConfigurationUID},
		} {
			if err := env.Client.Get(t.Context(), client.ObjectKey{Name: want.name}, want.Object); err != nil {
				t.Fatal(err)
			}
			if got := header.Get(want.header); got != string(want.GetUID()) {
				t.Errorf("%s: the host has applied %T %s, want %s (%s)", tc.name, want.Object, got, want.name,
					want.GetUID())
			}
		}
	}
}
