// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import "k8s.io/utils/lru"

// maxDeletedObjects bounds the number of entries in DeletedObjects.
const maxDeletedObjects = 4096

// DeletedObjects remembers names of sessions and UIDs of users that do not exist on the API server. These names and
// UIDs are never used again. With this cache, repeated requests with a token of a deleted session call the API server
// only once.
type DeletedObjects struct{ seen *lru.Cache }

// NewDeletedObjects returns an empty DeletedObjects.
func NewDeletedObjects() *DeletedObjects { return &DeletedObjects{seen: lru.New(maxDeletedObjects)} }

func (g *DeletedObjects) add(key string) { g.seen.Add(key, nil) }

func (g *DeletedObjects) has(key string) bool {
	_, ok := g.seen.Get(key)
	return ok
}
