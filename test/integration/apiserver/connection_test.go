// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"sync"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestStrangersDoNotCloseTheSharedConnection verifies that the server does not close the connection after a rejected
// request. kube-apiserver sends the requests of all clients over one connection to kubevision-apiserver, and cannot
// send their bodies again.
func TestStrangersDoNotCloseTheSharedConnection(t *testing.T) {
	const requests = 150
	a := newActor(t, "")
	porter := kube(t, "porter")
	stop := make(chan struct{})
	var strangers sync.WaitGroup
	for range 4 {
		strangers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := porter.Answers(t.Context(), wire.Unauthenticated,
					wire.Request{Path: wire.GroupPath + me, Token: "rubbish"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	r := wire.Request{Method: "POST", Path: wire.GroupPath + "/auth/2fa/enable", Token: a.AccessToken,
		Body: `{"code":"123456"}`}
	for range requests {
		if err := porter.Answers(t.Context(), wire.Conflict, r); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	strangers.Wait()
}
