// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type rule struct {
	Record, Alert, Expr string
	Annotations         map[string]string
}

func rules(t *testing.T, root string) []rule {
	t.Helper()
	var object struct {
		Spec struct {
			Groups []struct{ Rules []rule }
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "monitoring", "prometheus_rule.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &object)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []rule
	for _, group := range object.Spec.Groups {
		out = append(out, group.Rules...)
	}
	if len(out) < 10 {
		t.Fatalf("only %d rules were found", len(out))
	}
	return out
}

func queries(t *testing.T, root string) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Query string }
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "monitoring", "grafana_dashboard.json"))
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			out = append(out, target.Expr)
		}
	}
	for _, variable := range dashboard.Templating.List {
		if strings.Contains(variable.Query, "(") {
			out = append(out, variable.Query)
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d queries were found", len(out))
	}
	return out
}

// metricNames returns the names of the metrics in a Prometheus expression. The name of a metric is "up" or contains an
// underscore. Names of functions and labels are ignored.
func metricNames(expr string) []string {
	expr = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]|"[^"]*"`).ReplaceAllString(expr, " ")
	expr = regexp.MustCompile(`\b(by|without|on|ignoring)\s*\([^)]*\)`).ReplaceAllString(expr, " ")
	var out []string
	for _, m := range regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\b\s*\(?`).FindAllString(expr, -1) {
		name := strings.TrimSpace(m)
		if !strings.HasSuffix(name, "(") && (strings.Contains(name, "_") || name == "up") {
			out = append(out, name)
		}
	}
	return out
}

// TestMonitoringUsesMetricsThatExist verifies that the Prometheus rules and the Grafana dashboard use existing metrics.
// A metric exists if docs/metrics.md describes it or a recording rule creates it.
func TestMonitoringUsesMetricsThatExist(t *testing.T) {
	source := readTree(t)
	page := source.pages(t)["docs/metrics.md"]
	var recorded, expressions []string
	for _, r := range rules(t, source.root) {
		expressions = append(expressions, r.Expr)
		if r.Record != "" {
			recorded = append(recorded, r.Record)
		}
	}
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, expr := range append(expressions, queries(t, source.root)...) {
		names := metricNames(expr)
		if len(names) == 0 {
			t.Errorf("no metric was found in %s", expr)
		}
		for _, name := range names {
			base := suffix.ReplaceAllString(name, "")
			known := strings.Contains(page, "`"+name+"`") || strings.Contains(page, "`"+base+"`")
			if !known && !slices.Contains(recorded, name) {
				t.Errorf("there is no metric %s, which is in %s", name, expr)
			}
		}
	}
}

// TestAlertsHaveRunbooks verifies that docs/runbooks.md has a section for each alert, and that the alert links to it.
func TestAlertsHaveRunbooks(t *testing.T) {
	source := readTree(t)
	page := source.pages(t)["docs/runbooks.md"]
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (KubeVision\w+)$`).FindAllStringSubmatch(page, -1) {
		sections[m[1]] = true
	}
	for _, r := range rules(t, source.root) {
		if r.Alert == "" {
			continue
		}
		if !sections[r.Alert] {
			t.Errorf("docs/runbooks.md has no section %s", r.Alert)
		}
		delete(sections, r.Alert)
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks.md#"+strings.ToLower(r.Alert)) {
			t.Errorf("the runbook_url of %s is %s", r.Alert, r.Annotations["runbook_url"])
		}
	}
	for name := range sections {
		t.Errorf("docs/runbooks.md has a section of %s, which is no alert", name)
	}
}
