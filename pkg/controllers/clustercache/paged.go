// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

const (
	// pageSize is the maximum number of objects in a page.
	pageSize = 500
	// pageDivisor is the factor by which the page size is reduced after a response that is too large.
	pageDivisor = 8
)

// pagedReader lists objects in pages. During a call of List, the memory of the responses counts toward the memory limit
// of the member cluster.
type pagedReader struct {
	client.Reader
}

// List implements client.Reader. After a page that is too large, it continues with smaller pages.
func (r *pagedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	ctx, drop := clusters.WithTransientMemory(ctx)
	defer drop()
	var all []runtime.Object
	size := int64(pageSize)
	for {
		page, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			return fmt.Errorf("%T is not a list", list)
		}
		paged := append(slices.Clone(options), client.Limit(size), client.Continue(list.GetContinue()))
		err := r.Reader.List(ctx, page, paged...)
		if errors.Is(err, clusters.ErrTooLarge) && size > 1 {
			size = max(1, size/pageDivisor)
			continue
		}
		if err != nil {
			return err
		}
		items, err := meta.ExtractList(page)
		if err != nil {
			return fmt.Errorf("reading a page: %w", err)
		}
		all = append(all, items...)
		list.SetResourceVersion(page.GetResourceVersion())
		list.SetContinue(page.GetContinue())
		if page.GetContinue() == "" || len(items) == 0 {
			return meta.SetList(list, all)
		}
	}
}
