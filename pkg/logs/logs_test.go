// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"testing"

	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
)

func TestVerbosityIsBounded(t *testing.T) {
	c := logsapi.NewLoggingConfiguration()
	c.Verbosity = 10
	c.VModule = logsapi.VModuleConfiguration{{FilePattern: "request", Verbosity: 9}}
	if err := Apply(c); err != nil {
		t.Fatal(err)
	}
	if klog.V(maxVerbosity + 1).Enabled() {
		t.Error("bodies of requests would be logged")
	}
	if !klog.V(maxVerbosity).Enabled() {
		t.Errorf("verbosity %d was asked for and is not in force", maxVerbosity)
	}
	for _, m := range c.VModule {
		if m.Verbosity > maxVerbosity {
			t.Errorf("the files %s would log at %d", m.FilePattern, m.Verbosity)
		}
	}
}
