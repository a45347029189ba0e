// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"regexp"

	"k8s.io/apimachinery/pkg/version"
)

// gitVersion matches versions of API servers, those of vendors included, such as v1.36.3+k3s1.
var gitVersion = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}$`)

// Version returns the version that an API server claims to have. It is empty unless it looks like one: a server may
// answer anything.
func Version(claimed *version.Info) string {
	if !gitVersion.MatchString(claimed.GitVersion) {
		return ""
	}
	return claimed.GitVersion
}
