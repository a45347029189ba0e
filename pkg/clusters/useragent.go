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

// userAgent returns the User-Agent of users' requests. API servers derive the field manager of a write from the part
// before the slash if the write does not set one, so all writes of users have the same field manager.
//
//nolint:gochecknoglobals // it never changes, and reading the version takes longer than the rest of a request
var userAgent = sync.OnceValue(func() string {
	return fmt.Sprintf("%s/%s (%s/%s)", names.UserFieldManager, version.Info().GitVersion, runtime.GOOS, runtime.GOARCH)
})
