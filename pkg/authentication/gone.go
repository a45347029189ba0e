// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import "k8s.io/utils/lru"

// goneKeys bounds the ended sessions and deleted users that are remembered.
const goneKeys = 4096

// Gone remembers sessions and users that the API server does not have any more. Neither comes back: names of sessions
// and UIDs of users are unique. So a token that outlives them causes one call, however often it is sent.
type Gone struct{ seen *lru.Cache }

// NewGone returns an empty Gone.
func NewGone() *Gone { return &Gone{seen: lru.New(goneKeys)} }

func (g *Gone) add(key string) { g.seen.Add(key, nil) }

func (g *Gone) has(key string) bool {
	_, ok := g.seen.Get(key)
	return ok
}
