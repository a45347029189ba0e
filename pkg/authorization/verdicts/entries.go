// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"maps"
	"slices"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/transport"
)

// maxEntries bounds the verdicts about all users on all clusters. Each takes about 400 bytes, independent of the size
// of the question.
const maxEntries = 50_000

// question is a digest of an impersonated identity and a read.
type question [sha256.Size]byte

// newQuestion digests every field of the identity and of the attributes, so that different questions have different
// digests.
func newQuestion(identity transport.ImpersonationConfig, a *authorizationv1.ResourceAttributes) question {
	h := sha256.New()
	texts(h, identity.UserName, identity.UID)
	texts(h, identity.Groups...)
	for _, key := range slices.Sorted(maps.Keys(identity.Extra)) {
		texts(h, key)
		texts(h, identity.Extra[key]...)
	}
	texts(h, a.Namespace, a.Verb, a.Group, a.Version, a.Resource, a.Subresource, a.Name)
	if a.FieldSelector != nil || a.LabelSelector != nil {
		selectors, err := json.Marshal([]any{a.FieldSelector, a.LabelSelector})
		if err != nil { // Impossible, because the attributes contain only strings.
			panic(err)
		}
		texts(h, string(selectors))
	}
	var q question
	h.Sum(q[:0])
	return q
}

// texts digests the length of a list, and the length and the content of each text.
func texts(h hash.Hash, all ...string) {
	size := binary.AppendUvarint(nil, uint64(len(all)))
	for _, text := range all {
		size = binary.AppendUvarint(size, uint64(len(text)))
		size = append(size, text...)
	}
	_, _ = h.Write(size) // a hash returns no error
}

// grants is a digest of the roles that the host grants a caller. It is zero if the caller has no roles.
type grants [sha256.Size]byte

// granted returns the digest of roles. It returns zero if there are no roles, or if they cannot be read.
func granted(ctx context.Context, roles Roles) (g grants, err error) {
	found, err := roles(ctx)
	if err != nil || len(found) == 0 {
		return g, err
	}
	h := sha256.New()
	for _, role := range found {
		texts(h, string(role.Kind), role.Name)
	}
	h.Sum(g[:0])
	return g, nil
}

// entryKey identifies a verdict by its question and by the scope of its cluster.
type entryKey struct {
	scope    *scope
	question question
}

// verdict is the result of a review on a cluster.
type verdict struct {
	allowed bool
	// roles are the roles that the host granted when the review was requested.
	roles      grants
	generation uint64
	asked      time.Time
	// until is the time at which the verdict expires.
	until time.Time
	// renewed is true if a new review was requested.
	renewed bool
}

// entries stores verdicts. When it is full, it removes the least recently used verdict of the holder with the most
// verdicts.
type entries struct {
	size int

	mu       sync.Mutex
	verdicts map[entryKey]*entry
	holders  map[string]*holder
	largest  holderHeap
}

type entry struct {
	verdict

	key    entryKey
	holder *holder
	// place is the element in the list of the holder.
	place *list.Element
}

// holder contains the verdicts of one user, in the order of their use.
type holder struct {
	name    string
	entries list.List
	// index is the index in the heap of holders.
	index int
}

func newEntries(size int) *entries {
	return &entries{size: size, verdicts: map[entryKey]*entry{}, holders: map[string]*holder{}}
}

// get returns a valid verdict. It returns true for renew once, after renewalAge.
func (e *entries) get(key entryKey, generation uint64, now time.Time) (allowed, renew, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.verdicts[key]
	if found == nil || found.generation != generation || !now.Before(found.until) {
		return false, false, false
	}
	found.holder.entries.MoveToFront(found.place)
	if !found.renewed && now.Sub(found.asked) >= renewalAge {
		found.renewed, renew = true, true
	}
	return found.allowed, renew, true
}

// last returns the last verdict, whether or not it is valid.
func (e *entries) last(key entryKey) (verdict, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.verdicts[key]; found != nil {
		return found.verdict, true
	}
	return verdict{}, false
}

// put stores a verdict, unless there is a newer one.
func (e *entries) put(key entryKey, name string, v verdict) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.verdicts[key]; found != nil {
		if v.asked.Before(found.asked) && found.generation >= v.generation {
			return
		}
		e.remove(found)
	}
	for len(e.verdicts) >= e.size {
		oldest, ok := e.largest[0].entries.Back().Value.(*entry)
		if !ok {
			return
		}
		e.remove(oldest)
	}
	h := e.holders[name]
	if h == nil {
		h = &holder{name: name}
		e.holders[name] = h
		heap.Push(&e.largest, h)
	}
	added := &entry{verdict: v, key: key, holder: h}
	added.place = h.entries.PushFront(added)
	e.verdicts[key] = added
	heap.Fix(&e.largest, h.index)
}

// remove removes an entry. The caller must hold the lock.
func (e *entries) remove(old *entry) {
	h := old.holder
	h.entries.Remove(old.place)
	delete(e.verdicts, old.key)
	if h.entries.Len() > 0 {
		heap.Fix(&e.largest, h.index)
		return
	}
	heap.Remove(&e.largest, h.index)
	delete(e.holders, h.name)
}

// forget removes all verdicts about a cluster.
func (e *entries) forget(s *scope) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, found := range e.verdicts {
		if key.scope == s {
			e.remove(found)
		}
	}
}

// holderHeap has the holder of the most verdicts at its root.
type holderHeap []*holder //nolint:recvcheck // as container/heap shows it

// Len implements heap.Interface.
func (h holderHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h holderHeap) Less(i, j int) bool { return h[i].entries.Len() > h[j].entries.Len() }

// Swap implements heap.Interface.
func (h holderHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *holderHeap) Push(x any) {
	if added, ok := x.(*holder); ok {
		added.index = len(*h)
		*h = append(*h, added)
	}
}

// Pop implements heap.Interface.
func (h *holderHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
