// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"sync"
	"unsafe"
)

const (
	// maxDiscovered bounds the memory of the catalog of one member cluster, in bytes. A catalog of 10,000 resources
	// takes about 10 MiB.
	maxDiscovered = 16 << 20
	// maxAllDiscovered bounds the memory of the catalogs of all member clusters, in bytes.
	maxAllDiscovered = 64 << 20
	// costOfText is the memory of a string in addition to its bytes.
	costOfText = 24
)

// catalogBudget bounds the memory of the catalogs of all member clusters. If a new catalog exceeds the free memory,
// catalogBudget drops the largest catalogs of other clusters. The next request to one of these clusters discovers its
// resources again.
type catalogBudget struct {
	limit int64

	mu   sync.Mutex
	held map[*resourceMapper]int64
	sum  int64
}

func newCatalogBudget(limit int64) *catalogBudget {
	return &catalogBudget{limit: limit, held: map[*resourceMapper]int64{}}
}

// keep records the size of the catalog of the resourceMapper r. If all catalogs together exceed the limit, keep drops
// the largest catalogs of other resourceMappers.
func (d *catalogBudget) keep(r *resourceMapper, bytes int64) {
	if d == nil { // the host cluster has no budget
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sum += bytes - d.held[r]
	d.held[r] = bytes
	for d.sum > d.limit {
		most := d.largestOther(r)
		if most == nil {
			return
		}
		d.remove(most)
		most.forget()
	}
}

func (d *catalogBudget) largestOther(r *resourceMapper) (most *resourceMapper) {
	for other, bytes := range d.held {
		if other != r && (most == nil || bytes > d.held[most]) {
			most = other
		}
	}
	return most
}

// release removes the catalog of the resourceMapper r from the budget.
func (d *catalogBudget) release(r *resourceMapper) {
	if d == nil { // the host cluster has no budget
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(r)
}

func (d *catalogBudget) remove(r *resourceMapper) {
	d.sum -= d.held[r]
	delete(d.held, r)
}

// sizeOf estimates the memory of a catalog with the given resources. A catalog holds each resource twice: in a list,
// and in a map by plural name.
func sizeOf(all []Resource) int64 {
	const fixed = 2 * int64(unsafe.Sizeof(Resource{}))
	size := int64(0)
	for i := range all {
		r := &all[i]
		size += fixed + costOfTexts(r.GroupVersionResource.Resource, r.Group, r.Version, r.Kind) +
			costOfTexts(r.Verbs...) + costOfTexts(r.ShortNames...) + costOfTexts(r.Categories...) +
			costOfTexts(r.Subresources...)
	}
	return size
}

func costOfTexts(texts ...string) (size int64) {
	for _, text := range texts {
		size += costOfText + int64(len(text))
	}
	return size
}
