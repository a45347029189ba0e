// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "k8s.io/component-base/metrics"

// These constants are the values of the label "result" of the metric requests_total, which counts reads.
const (
	// resultHit means that the cache has returned an up-to-date list.
	resultHit = "hit"
	// resultStale means that the cache has returned a list that may be outdated, because the watch is broken.
	resultStale = "stale"
	// resultMissed means that the cached list is not complete, is too old, or does not include the user's last write.
	resultMissed = "miss"
	// resultRefused means that the resource cannot be cached at present.
	resultRefused = "refused"
)

var (
	gauge = func(name, help string) *metrics.Gauge {
		return metrics.NewGauge(&metrics.GaugeOpts{
			Namespace: "kubevision", Subsystem: "readcache", Name: name, StabilityLevel: metrics.ALPHA, Help: help,
		})
	}
	bytesGauge   = gauge("bytes", "Memory of the objects in the read cache.")
	objectsGauge = gauge("objects", "Number of objects in the read cache.")
	kindsGauge   = gauge("kinds", "Number of kinds in the read cache, of all clusters.")
	staleGauge   = gauge("stale_kinds", "Number of kinds in the read cache whose watch is broken.")

	requests = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "readcache", Name: "requests_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of reads that could be answered from the cache, by result: hit, stale (the watch is broken), " +
			"miss (not complete yet, or older than the last write of the user), refused (the kind cannot be cached).",
	}, []string{"result"})
	droppedAnswers = metrics.NewCounter(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "readcache", Name: "dropped_answers_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of answers that ended early because a slow client held too many objects that were " +
			"replaced meanwhile.",
	})
	evictions = metrics.NewCounter(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "readcache", Name: "evictions_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of kinds that were evicted for other kinds, or did not fit.",
	})
)

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable {
	return []metrics.Registerable{bytesGauge, objectsGauge, kindsGauge, staleGauge, requests, evictions, droppedAnswers}
}

// measure sets the gauges to the current values.
func (c *Cache) measure() {
	var objects, stale int
	c.mu.Lock()
	kinds := len(c.kinds)
	for _, k := range c.kinds {
		if s := k.store.snapshot(); s != nil {
			objects += s.Count
		}
		if _, _, broken := k.source.stale(); broken {
			stale++
		}
	}
	c.mu.Unlock()
	bytesGauge.Set(float64(c.Bytes()))
	objectsGauge.Set(float64(objects))
	kindsGauge.Set(float64(kinds))
	staleGauge.Set(float64(stale))
}
