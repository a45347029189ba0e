// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import "k8s.io/utils/lru"

// goneKeys bounds the recorded sessions and users.
const goneKeys = 4096

// DeletedObjects records sessions and users that no longer exist on the API server. Names of sessions and UIDs of users
// are never reused, so repeated requests with a token of a deleted session cause only one call.
type DeletedObjects struct{ seen *lru.Cache }

// NewDeletedObjects returns an empty DeletedObjects.
func NewDeletedObjects() *DeletedObjects { return &DeletedObjects{seen: lru.New(goneKeys)} }

func (g *DeletedObjects) add(key string) { g.seen.Add(key, nil) }

func (g *DeletedObjects) has(key string) bool {
	_, ok := g.seen.Get(key)
	return ok
}
