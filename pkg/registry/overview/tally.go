// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// tally adds up the overviews of several kinds, which are read concurrently.
type tally struct {
	mu  sync.Mutex
	sum dashboardv1alpha1.Overview
}

func (t *tally) add(part *dashboardv1alpha1.Overview) {
	t.mu.Lock()
	defer t.mu.Unlock()
	addTo(&t.sum, part)
}

// addTo adds the numbers and the events of part to out.
func addTo(out, part *dashboardv1alpha1.Overview) {
	addNumbers(reflect.ValueOf(out).Elem(), reflect.ValueOf(part).Elem())
	out.RecentEvents = append(out.RecentEvents, part.RecentEvents...)
	if len(out.RecentEvents) >= manyEvents {
		out.RecentEvents = newest(out.RecentEvents)
	}
}

func addNumbers(out, part reflect.Value) {
	for i := range out.NumField() {
		switch field := out.Field(i); field.Kind() {
		case reflect.Int64:
			field.SetInt(field.Int() + part.Field(i).Int())
		case reflect.Struct:
			addNumbers(field, part.Field(i))
		default: // neither a number nor a struct of numbers
		}
	}
}

// addOptions are options of addGroups, which adds the objects of a cached list to an Overview.
type addOptions struct {
	// sum is the Overview to which the objects are added.
	sum *dashboardv1alpha1.Overview
	// account limits the memory and the processor time of the request.
	account *budget.Account
	// omit is called for each object that is too large to be decoded.
	omit objects.Omit
}

// counted is the overview of one readcache.Group, which is a part of a list.
type counted struct {
	dashboardv1alpha1.Overview

	// omissions contains the objects that the overview does not count, because they are too large to be decoded.
	omissions []*readcache.Object
}

// addGroups adds the objects of a cached list to the Overview options.sum. The parameter groups contains the cached
// list. The function addObject must add one object to the given Overview.
func addGroups[T any](
	ctx context.Context, options addOptions, groups readcache.Groups, addObject func(*T, *dashboardv1alpha1.Overview),
) error {
	for group := range groups.All() {
		found, err := summaryOf(ctx, options.account, group, func(all []*readcache.Object) (readcache.Summary, error) {
			return summarize(ctx, all, options.account, addObject)
		})
		if err != nil {
			return fmt.Errorf("counting objects of the read cache: %w", err)
		}
		part, ok := found.(*counted)
		if !ok {
			continue
		}
		addTo(options.sum, &part.Overview)
		for _, o := range part.omissions {
			options.omit(o.Namespace, o.Name)
		}
	}
	return nil
}

// summaryOf returns the overview of a group of objects. If the read cache does not contain the overview, summaryOf
// calls compute, within the account's limit for processor time.
func summaryOf(
	ctx context.Context,
	account *budget.Account,
	group *readcache.Group,
	compute func([]*readcache.Object) (readcache.Summary, error),
) (found any, err error) {
	if found, ok := group.Summary(); ok {
		return found, nil
	}
	// A cluster may send objects that take long to decode. Without the limit, they could occupy all processors.
	late := account.Do(ctx, func() { found, err = group.Summarize(compute) })
	switch {
	case ctx.Err() != nil:
		return nil, envelope.Late(ctx.Err())
	case late != nil:
		return nil, envelope.OutOfTime(late)
	}
	return found, err //nolint:wrapcheck // it has its code
}

func summarize[T any](
	ctx context.Context, all []*readcache.Object, account *budget.Account,
	addObject func(*T, *dashboardv1alpha1.Overview),
) (readcache.Summary, error) {
	part := &counted{}
	for _, o := range all {
		if err := ctx.Err(); err != nil {
			return readcache.Summary{}, envelope.Late(err)
		}
		err := objects.Item(o.JSON, account, func(item *T) error {
			addObject(item, &part.Overview)
			return nil
		})
		if errors.Is(err, objects.ErrTooLarge) {
			part.omissions = append(part.omissions, o)
			continue
		}
		if err != nil {
			return readcache.Summary{}, err //nolint:wrapcheck // it has its code
		}
	}
	part.RecentEvents = newest(part.RecentEvents)
	const pointerBytes = 16 // includes the growth of the slice
	size := eventBytes(part.RecentEvents) + int64(len(part.omissions))*pointerBytes
	return readcache.Summary{Value: part, TextBytes: size}, nil
}

// eventBytes returns the memory of all events in bytes.
func eventBytes(all []dashboardv1alpha1.OverviewEvent) int64 {
	var size int64
	for i := range all {
		e := &all[i]
		size += int64(reflect.TypeFor[dashboardv1alpha1.OverviewEvent]().Size()) //nolint:gosec // it is small
		size += int64(len(e.Type) + len(e.Reason) + len(e.Message) +
			len(e.ObjectKind) + len(e.ObjectName) + len(e.Namespace))
	}
	return size
}
