// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// pageSize is the size of the pages in which lists are read, so that none is too large a response.
const pageSize = 500

// pagedReader reads lists in pages. What it has read counts against the member while it reads.
type pagedReader struct {
	client.Reader
}

// List reads a list.
func (r *pagedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	ctx, drop := clusters.Lend(ctx)
	defer drop()
	var all []runtime.Object
	for {
		page, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			return fmt.Errorf("%T is no list", list)
		}
		paged := append(slices.Clone(options), client.Limit(pageSize), client.Continue(list.GetContinue()))
		if err := r.Reader.List(ctx, page, paged...); err != nil {
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
