// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// memory stores the time series of one unit test.
type memory struct {
	series []*promql.Series
}

// add appends a sample to the time series that seriesLabels identifies. The samples of a time series must be added in
// the order of their timestamps.
func (m *memory) add(seriesLabels labels.Labels, milliseconds int64, value float64) {
	at := slices.IndexFunc(m.series, func(s *promql.Series) bool { return labels.Equal(s.Metric, seriesLabels) })
	if at < 0 {
		m.series = append(m.series, &promql.Series{Metric: seriesLabels})
		at = len(m.series) - 1
	}
	m.series[at].Floats = append(m.series[at].Floats, promql.FPoint{T: milliseconds, F: value})
}

// Querier implements storage.Queryable.
func (m *memory) Querier(int64, int64) (storage.Querier, error) { return querier{m}, nil }

type querier struct{ *memory }

// Select returns the series that match all matchers, with all samples. The PromQL engine ignores the samples outside
// the time range of a query.
func (q querier) Select(
	_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher,
) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for _, s := range q.series {
		mismatch := func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) }
		if !slices.ContainsFunc(matchers, mismatch) {
			set.series = append(set.series, promql.NewStorageSeries(*s))
		}
	}
	slices.SortFunc(set.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return set
}

// LabelValues implements storage.Querier. The PromQL engine never calls LabelValues.
func (querier) LabelValues(
	context.Context, string, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier. The PromQL engine never calls LabelNames.
func (querier) LabelNames(
	context.Context, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (querier) Close() error { return nil }

type seriesSet struct {
	series []storage.Series
	at     int
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	s.at++
	return s.at < len(s.series)
}

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return s.series[s.at] }

// Err implements storage.SeriesSet.
func (*seriesSet) Err() error { return nil }

// Warnings implements storage.SeriesSet.
func (*seriesSet) Warnings() annotations.Annotations { return nil }
