// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
)

// TestRemovalIsParallel verifies that an unresponsive cluster does not delay the removal of RBAC objects from other
// clusters. It also verifies that the removal of RBAC objects from the unresponsive cluster times out.
func TestRemovalIsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, good := &clustercache.Cluster{ID: "0"}, &clustercache.Cluster{ID: "1"}
		begun := time.Now()
		err := removeFromEach(t.Context(), []*clustercache.Cluster{silent,
			good}, func(ctx context.Context, c *clustercache.Cluster) error {
			if c == silent {
				<-ctx.Done()
				return ctx.Err()
			}
			if took := time.Since(begun); took > 0 {
				t.Errorf("the other cluster waited for %s", took)
			}
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(begun); took != removalTimeout {
			t.Errorf("it took %s", took)
		}
	})
}
