// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import "k8s.io/utils/lru"

// goneKeys bounds the ended sessions and deleted users that are remembered.
const goneKeys = 4096

// DeletedObjects remembers sessions and users that the API server does not have any more. Names of sessions and UIDs of
// users are never reused. So a token of a deleted session causes only one call, however often it is sent.
type DeletedObjects struct{ seen *lru.Cache }

// NewDeletedObjects returns an empty DeletedObjects.
func NewDeletedObjects() *DeletedObjects { return &DeletedObjects{seen: lru.New(goneKeys)} }

func (g *DeletedObjects) add(key string) { g.seen.Add(key, nil) }

func (g *DeletedObjects) has(key string) bool {
	_, ok := g.seen.Get(key)
	return ok
}
