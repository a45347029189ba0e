// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command promrules checks the rules of a PrometheusRule and the queries of a Grafana dashboard, and runs the unit
// tests of the rules. It reads rules and tests as promtool does, but needs only a small part of promtool's
// dependencies.
//
//	promrules <PrometheusRule> <tests> <Grafana dashboard>
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, files []string) error {
	const wanted = 3
	if len(files) != wanted {
		return errors.New("usage: promrules <PrometheusRule> <tests> <Grafana dashboard>")
	}
	groups, err := readRules(files[0])
	if err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	if err := runTests(ctx, groups, files[1]); err != nil {
		return fmt.Errorf("%s: %w", files[1], err)
	}
	if err := checkDashboard(files[2]); err != nil {
		return fmt.Errorf("%s: %w", files[2], err)
	}
	return nil
}

// readRules reads the spec of a PrometheusRule as Prometheus reads a rule file.
func readRules(file string) (*rulefmt.RuleGroups, error) {
	text, err := os.ReadFile(file) //nolint:gosec // an argument of the program
	if err != nil {
		return nil, err
	}
	var object struct {
		Spec yaml.Node `yaml:"spec"`
	}
	if err := yaml.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	spec, err := yaml.Marshal(&object.Spec)
	if err != nil {
		return nil, err
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}),
		promslog.NewNopLogger())
	return groups, errors.Join(errs...)
}

// checkDashboard parses the query of each panel.
func checkDashboard(file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // an argument of the program
	if err != nil {
		return err
	}
	var dashboard struct {
		Panels []struct {
			Title   string `json:"title"`
			Type    string `json:"type"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		return err
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$cluster", ".*")
	var errs []error
	for _, panel := range dashboard.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			errs = append(errs, fmt.Errorf("panel %q has no query", panel.Title))
		}
		for _, target := range panel.Targets {
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(target.Expr)); err != nil {
				errs = append(errs, fmt.Errorf("panel %q: %w", panel.Title, err))
			}
		}
	}
	return errors.Join(errs...)
}
