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

// userAgent returns the User-Agent of users' requests. API servers use the part before the slash as the field manager
// of each write that sets no field manager. This part is constant, so that all such writes have the same field manager.
//
//nolint:gochecknoglobals // it never changes, and reading the version takes longer than the rest of a request
var userAgent = sync.OnceValue(func() string {
	return fmt.Sprintf("%s/%s (%s/%s)", names.UserFieldManager, version.Info().GitVersion, runtime.GOOS, runtime.GOARCH)
})
