// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command metrics prints docs/metrics.md. The page describes all metrics that the KubeVision programs register. The
// page also describes the library metrics that appear in config/monitoring.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/component-base/metrics"

	"github.com/kubevision-io/kubevision/pkg/apiserver"
	"github.com/kubevision-io/kubevision/pkg/controllers"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	ofServer, err := describeAll(apiserver.Metrics(), nil)
	if err != nil {
		return err
	}
	ofControllers, err := describeAll(controllers.Metrics(), controllers.Collectors(nil))
	if err != nil {
		return err
	}
	parts := []string{
		header, introduction, "## kubevision-apiserver\n", table(ofServer), "## kubevision-controller-manager\n",
		table(ofControllers), librariesIntroduction, table(libraries()),
	}
	if _, err := io.WriteString(out, strings.Join(parts, "\n")); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// metricRow describes a metric in a table of docs/metrics.md.
type metricRow struct {
	name, kind, labels, stability, help string
}

func describeAll(registerables []metrics.Registerable, collectors []metrics.StableCollector) ([]metricRow, error) {
	registry := metrics.NewKubeRegistry()
	registry.MustRegister(registerables...)
	registry.CustomMustRegister(collectors...)
	var out []metricRow
	for _, metric := range registerables {
		kind, err := kindOf(metric)
		if err != nil {
			return nil, err
		}
		rows, err := describe(metric, kind)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	for _, collector := range collectors {
		rows, err := describe(collector, "gauge")
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	slices.SortFunc(out, func(a, b metricRow) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

func kindOf(metric metrics.Registerable) (string, error) {
	switch metric.(type) {
	case *metrics.Counter, *metrics.CounterVec:
		return "counter", nil
	case *metrics.Gauge, *metrics.GaugeVec:
		return "gauge", nil
	case *metrics.Histogram, *metrics.HistogramVec:
		return "histogram", nil
	default:
		return "", fmt.Errorf("metric %s is of type %T", metric.FQName(), metric)
	}
}

// describe returns a row for each metric of a collector. The collector must be registered before, because the
// registration creates the metrics.
func describe(collector prometheus.Collector, kind string) ([]metricRow, error) {
	descriptors := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptors)
		collector.Describe(descriptors)
	}()
	var out []metricRow
	var errs []error
	for d := range descriptors {
		row, err := parse(d.String())
		row.kind = kind
		out, errs = append(out, row), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// parse reads the name, the labels and the help of a metric from the text of its descriptor. The type prometheus.Desc
// exports no fields.
func parse(text string) (metricRow, error) {
	const quoted = `("(?:[^"\\]|\\.)*")`
	form := regexp.MustCompile(`^Desc\{fqName: ` + quoted + `, help: ` + quoted + `.* variableLabels: \{([^}]*)\}`)
	found := form.FindStringSubmatch(text)
	if found == nil {
		return metricRow{}, fmt.Errorf("reading %q", text)
	}
	name, nameErr := strconv.Unquote(found[1])
	help, helpErr := strconv.Unquote(found[2])
	stability, meaning, levelled := strings.Cut(strings.TrimPrefix(help, "["), "] ")
	if nameErr != nil || helpErr != nil || !levelled {
		return metricRow{}, fmt.Errorf("%q has no name or no stability level", text)
	}
	row := metricRow{name: name, stability: stability, help: meaning}
	if labels := found[3]; labels != "" {
		row.labels = "`" + strings.ReplaceAll(labels, ",", "`, `") + "`"
	}
	return row, nil
}

func table(rows []metricRow) string {
	var out strings.Builder
	out.WriteString("| Name | Type | Labels | Stability | Meaning |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", r.name, r.kind, r.labels, r.stability, r.help)
	}
	return out.String()
}
