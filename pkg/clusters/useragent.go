// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/version"
)

// userAgent returns the User-Agent of users' requests. If a write sets no field manager, API servers use the part of
// the User-Agent before the slash. Therefore, all writes of users have the same field manager.
//
//nolint:gochecknoglobals // it never changes, and reading the version takes longer than the rest of a request
var userAgent = sync.OnceValue(func() string {
	return fmt.Sprintf("%s/%s (%s/%s)", names.UserFieldManager, version.Info().GitVersion, runtime.GOOS, runtime.GOARCH)
})
