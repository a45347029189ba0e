// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/transport"

	"github.com/kubevision-io/kubevision/pkg/fingerprint"
)

// maxEntries bounds the number of cached results of access reviews, for all users and clusters together. A cached
// result needs about 400 bytes.
const maxEntries = 50_000

// question is a hash of the question that an access review asks: the impersonated identity, and the attributes of the
// request.
type question [sha256.Size]byte

// newQuestion hashes all fields of the identity and the attributes, so that different questions have different hashes.
func newQuestion(identity transport.ImpersonationConfig, a *authorizationv1.ResourceAttributes) question {
	text := make([]byte, 0, 512) //nolint:mnd // of a usual identity
	text = fingerprint.Append(text, identity.UserName, identity.UID)
	text = fingerprint.Append(text, identity.Groups...)
	for _, key := range slices.Sorted(maps.Keys(identity.Extra)) {
		text = fingerprint.Append(text, key)
		text = fingerprint.Append(text, identity.Extra[key]...)
	}
	text = fingerprint.Append(text, a.Namespace, a.Verb, a.Group, a.Version, a.Resource, a.Subresource, a.Name)
	if a.FieldSelector != nil || a.LabelSelector != nil {
		selectors, err := json.Marshal([]any{a.FieldSelector, a.LabelSelector})
		if err != nil { // Impossible, because the attributes contain only strings.
			panic(err)
		}
		text = fingerprint.Append(text, string(selectors))
	}
	return sha256.Sum256(text)
}

// rolesHash is a hash of the roles that KubeVisionRoleBindings grant a user. It is zero if they grant no role.
type rolesHash [sha256.Size]byte

// granted returns the hash of the result of roles(). The hash is zero if the result contains no roles. If roles()
// fails, granted returns zero and an error.
func granted(ctx context.Context, roles Roles) (h rolesHash, err error) {
	found, err := roles(ctx)
	if err != nil || len(found) == 0 {
		return h, err
	}
	var text []byte
	for _, role := range found {
		text = fingerprint.Append(text, string(role.Kind), role.Name)
	}
	return sha256.Sum256(text), nil
}

// entryKey identifies a cached result. The field scope identifies the cluster. The field question identifies the user
// and the request to review.
type entryKey struct {
	scope    *scope
	question question
}

// verdict is the result of one access review.
type verdict struct {
	allowed bool
	// roles is a hash of the roles that the user had when the review was sent.
	roles rolesHash
	// generation is the value of the counter scope.generation when the review was sent. The verdict is valid only while
	// the counter has this value.
	generation uint64
	// asked is the time at which the review was sent.
	asked time.Time
	// until is the time at which the verdict expires.
	until time.Time
	// renewed is true if a call of entries.get has already requested a renewal of this verdict.
	renewed bool
}

// entries stores verdicts. When it is full, it removes the least recently used verdict of the user with the most
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
	// place is the element of the list holder.entries that contains this verdict.
	place *list.Element
}

// holder contains the verdicts of one user, the most recently used first.
type holder struct {
	name    string
	entries list.List
	// index is the position of this holder in the holderHeap.
	index int
}

func newEntries(size int) *entries {
	return &entries{size: size, verdicts: map[entryKey]*entry{}, holders: map[string]*holder{}}
}

// get returns the cached result for the key. valid is false if there is no result, or if it is outdated. renew is true
// if the caller should send a new access review, because the result expires soon.
func (e *entries) get(key entryKey, generation uint64, now time.Time) (allowed, renew, valid bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.verdicts[key]
	if found == nil || found.generation != generation || !now.Before(found.until) {
		return false, false, false
	}
	found.holder.entries.MoveToFront(found.place)
	if !found.renewed && now.Sub(found.asked) >= renewalAge {
		found.renewed, renew = true, true // Only one caller renews the verdict.
	}
	return found.allowed, renew, true
}

func (e *entries) postponeRenewal(key entryKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.verdicts[key]; found != nil {
		found.renewed = false // The next call of get requests the renewal.
	}
}

// last returns the stored verdict for the key, even if the verdict is no longer valid. It returns false if there is
// none.
func (e *entries) last(key entryKey) (verdict, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.verdicts[key]; found != nil {
		return found.verdict, true
	}
	return verdict{}, false
}

// put stores a verdict about the user with the given name. It does nothing if a newer verdict for the key is stored.
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

// remove removes a verdict. The caller must hold the lock.
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

// forget removes all verdicts of the cluster to which the scope s belongs.
func (e *entries) forget(s *scope) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, found := range e.verdicts {
		if key.scope == s {
			e.remove(found)
		}
	}
}

// holderHeap is a heap for container/heap. Its first element is the user with the most verdicts.
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
