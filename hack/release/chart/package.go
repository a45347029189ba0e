// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"errors"
	"fmt"
	"strings"
	"time"

	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/util"
)

// Package writes the archive of a chart for a version, and returns its path. The archive is reproducible.
func Package(c *chartv2.Chart, folder, version string, at time.Time) (string, error) {
	c.Metadata.Version, c.Metadata.AppVersion = strings.TrimPrefix(version, "v"), version
	c.ModTime, c.SchemaModTime = at, at
	for _, f := range c.Templates {
		f.ModTime = at
	}
	for _, f := range c.Files {
		f.ModTime = at
	}
	for _, f := range c.Raw {
		f.ModTime = at
	}
	path, err := util.Save(c, folder)
	if err != nil {
		return "", fmt.Errorf("package the chart: %w", err)
	}
	return path, nil
}

// SetImage makes an image the default of a chart.
func SetImage(c *chartv2.Chart, repository string) error {
	const line = "\n  repository: kubevision\n"
	for _, f := range c.Raw {
		if f.Name != util.ValuesfileName {
			continue
		}
		before, after, found := strings.Cut(string(f.Data), line)
		if !found {
			return errors.New("the values name no image kubevision")
		}
		f.Data = []byte(before + "\n  repository: " + repository + "\n" + after)
		return nil
	}
	return errors.New("the chart has no values")
}
