// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logs applies the logging flags of the programs.
package logs

import (
	"fmt"

	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // for --logging-format=json
	"k8s.io/klog/v2"
)

// maxVerbosity is the highest allowed verbosity. From level 8 on, client-go logs the bodies of requests and responses,
// which contain credentials.
const maxVerbosity = 7

// Apply applies the logging flags. It lowers --v and each level in --vmodule to maxVerbosity. If it lowers --v, it logs
// that.
func Apply(c *logsapi.LoggingConfiguration) error {
	asked := c.Verbosity
	c.Verbosity = min(asked, maxVerbosity)
	modules := make(logsapi.VModuleConfiguration, 0, len(c.VModule))
	for _, m := range c.VModule {
		m.Verbosity = min(m.Verbosity, maxVerbosity)
		modules = append(modules, m)
	}
	c.VModule = modules
	if err := logsapi.ValidateAndApply(c, nil); err != nil {
		return fmt.Errorf("configuring logs: %w", err)
	}
	if asked > maxVerbosity {
		klog.Background().Info("Log verbosity lowered: higher levels would log secrets", "asked", asked, "verbosity",
			maxVerbosity)
	}
	return nil
}
