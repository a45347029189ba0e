// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// testFile is a file of unit tests in the format of promtool. It cannot contain expected annotations.
type testFile struct {
	Tests []testCase `yaml:"tests"`
}

type testCase struct {
	Name        string         `yaml:"name"`
	Interval    model.Duration `yaml:"interval"`
	InputSeries []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	AlertRuleTests []struct {
		EvalTime  model.Duration `yaml:"eval_time"`
		Alertname string         `yaml:"alertname"`
		ExpAlerts []struct {
			ExpLabels map[string]string `yaml:"exp_labels"`
		} `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
}

// runTests runs the tests of a file. It returns an error if a test fails, or if an alert fires in no test.
func runTests(ctx context.Context, groups *rulefmt.RuleGroups, file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // an argument of the program
	if err != nil {
		return err
	}
	var tests testFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&tests); err != nil {
		return err
	}
	fired := map[string]bool{}
	var errs []error
	for _, c := range tests.Tests {
		if err := c.run(ctx, groups, fired); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" && !fired[rule.Alert] {
				errs = append(errs, fmt.Errorf("alert %s fires in no test", rule.Alert))
			}
		}
	}
	return errors.Join(errs...)
}

// run executes the test case c. It returns an error if the firing alerts differ from the alerts that c expects. The map
// fired collects the names of alerts that fire as expected.
func (c *testCase) run(ctx context.Context, groups *rulefmt.RuleGroups, fired map[string]bool) error {
	step := time.Duration(c.Interval)
	if step <= 0 {
		return errors.New("it has no interval")
	}
	e := &evaluation{groups: groups, memory: &memory{}, active: map[string]map[string]time.Time{}}
	e.engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{}),
	})
	var last time.Duration
	for _, expected := range c.AlertRuleTests {
		last = max(last, time.Duration(expected.EvalTime))
	}
	inputs, err := c.inputs()
	if err != nil {
		return err
	}
	for n := 0; time.Duration(n)*step <= last; n++ {
		now := time.Duration(n) * step
		for _, input := range inputs {
			if n < len(input.values) && !input.values[n].Omitted {
				e.memory.add(input.metric, now.Milliseconds(), input.values[n].Value)
			}
		}
		if err := e.evaluate(ctx, time.UnixMilli(now.Milliseconds())); err != nil {
			return err
		}
		if err := c.compare(e, now, fired); err != nil {
			return err
		}
	}
	return nil
}

type input struct {
	metric labels.Labels
	values []parser.SequenceValue
}

func (c *testCase) inputs() ([]input, error) {
	var out []input
	for _, series := range c.InputSeries {
		metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(series.Series + " " + series.Values)
		if err != nil {
			return nil, fmt.Errorf("series %s: %w", series.Series, err)
		}
		out = append(out, input{metric, values})
	}
	return out, nil
}

// compare returns an error if the alerts that fire at the given time are not the alerts that c expects. It adds the
// names of alerts that fire as expected to the map fired.
func (c *testCase) compare(e *evaluation, now time.Duration, fired map[string]bool) error {
	for _, expected := range c.AlertRuleTests {
		if time.Duration(expected.EvalTime) != now {
			continue
		}
		want := make([]string, 0, len(expected.ExpAlerts))
		for _, alert := range expected.ExpAlerts {
			want = append(want, labels.FromMap(alert.ExpLabels).String())
		}
		got := slices.Sorted(maps.Keys(e.firing[expected.Alertname]))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s at %s: got %v, want %v", expected.Alertname, now, got, want)
		}
		fired[expected.Alertname] = fired[expected.Alertname] || len(want) > 0
	}
	return nil
}

// evaluation is the state of the rules in one test.
type evaluation struct {
	groups *rulefmt.RuleGroups
	engine *promql.Engine
	memory *memory
	// active contains the start time of each pending or firing alert. The outer key is the name of the alert, and the
	// inner key contains the labels of the alert.
	active map[string]map[string]time.Time
	// firing contains true for each firing alert. The outer key is the name of the alert, and the inner key contains
	// the labels of the alert.
	firing map[string]map[string]bool
}

// evaluate evaluates all rules in their order.
func (e *evaluation) evaluate(ctx context.Context, now time.Time) error {
	e.firing = map[string]map[string]bool{}
	for _, group := range e.groups.Groups {
		for _, rule := range group.Rules {
			query, err := e.engine.NewInstantQuery(ctx, e.memory, nil, rule.Expr, now)
			if err != nil {
				return fmt.Errorf("%s: %w", rule.Expr, err)
			}
			result := query.Exec(ctx)
			vector, err := result.Vector()
			if err != nil {
				return fmt.Errorf("%s: %w", rule.Expr, err)
			}
			if rule.Record != "" {
				e.record(rule, vector, now)
			} else {
				e.alert(rule, vector, now)
			}
			query.Close()
		}
	}
	return nil
}

func (e *evaluation) record(rule rulefmt.Rule, vector promql.Vector, now time.Time) {
	for _, sample := range vector {
		metric := labels.NewBuilder(sample.Metric).Set(model.MetricNameLabel, rule.Record).Labels()
		e.memory.add(metric, now.UnixMilli(), sample.F)
	}
}

func (e *evaluation) alert(rule rulefmt.Rule, vector promql.Vector, now time.Time) {
	active := map[string]time.Time{}
	firing := map[string]bool{}
	for _, sample := range vector {
		builder := labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel)
		for name, value := range rule.Labels {
			builder.Set(name, value)
		}
		key := builder.Labels().String()
		since, known := e.active[rule.Alert][key]
		if !known {
			since = now
		}
		active[key] = since
		if now.Sub(since) >= time.Duration(rule.For) {
			firing[key] = true
		}
	}
	e.active[rule.Alert], e.firing[rule.Alert] = active, firing
}
