// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import "k8s.io/utils/lru"

// goneKeys is how many sessions and users are remembered that are no more.
const goneKeys = 4096

// Gone remembers the sessions and users that the API server knew no more. Neither comes back: a session's name and a user's UID are used once.
// So a token that has outlived them causes one call, however often it is shown.
type Gone struct{ seen *lru.Cache }

// NewGone remembers nothing yet.
func NewGone() *Gone { return &Gone{seen: lru.New(goneKeys)} }

func (g *Gone) add(key string) { g.seen.Add(key, nil) }

func (g *Gone) has(key string) bool {
	_, ok := g.seen.Get(key)
	return ok
}
