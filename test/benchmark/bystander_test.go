// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// bystander is a user who lists Pods continuously, and whose requests are measured.
type bystander struct {
	client    *wire.Client
	namespace string
	request   wire.Request
}

func newBystander(b *testing.B, pods int) *bystander {
	b.Helper()
	set().HostCluster(b, host)
	namespace := set().Namespace(b, "bystander")
	for i := range pods {
		set().Pod(b, namespace, fmt.Sprintf("pod-%d", i))
	}
	u := set().User(b, "bystander")
	set().Bind(b, "bystander", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(u), Cluster: host, Namespaces: []string{namespace},
	})
	client := direct(b)
	return &bystander{client: client, namespace: namespace, request: wire.Request{
		Path:   wire.DirectPath + "/clusters/" + host + "/namespaces/" + namespace + "/resources/pods",
		Bearer: u.Login(b, client, wire.DirectPath).AccessToken,
	}}
}

func (s *bystander) list(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	response, err := s.client.Do(ctx, s.request)
	took := time.Since(begun)
	if err != nil {
		return 0, err
	}
	_, err = answered(response, wire.OK)
	return took, err
}

func (s *bystander) until(b *testing.B, done <-chan struct{}) durations {
	b.Helper()
	var out durations
	for {
		select {
		case <-done:
			return out
		default:
		}
		took, err := s.list(b.Context())
		if err != nil {
			b.Fatalf("list %d in the phase: %v", len(out)+1, err)
		}
		out = append(out, took)
	}
}
