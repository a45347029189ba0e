// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart generates, renders and packages the Helm chart.
package chart

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubevision-io/kubevision/hack/release/manifests"
)

// GeneratedFolder is the folder of the templates that Generate writes, relative to the chart.
const GeneratedFolder = "templates/generated"

// keepAnnotation makes Helm keep the CustomResourceDefinitions, and with them all users, clusters and role bindings,
// when the chart is uninstalled.
const keepAnnotation = `{{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
{{- end }}
`

// handwritten returns true for objects whose templates are handwritten, because they depend on values.
func handwritten(o manifests.Object) bool {
	switch o.Kind() {
	case "Namespace", "Deployment", "PodDisruptionBudget", "PriorityClass":
		return true
	}
	return false
}

// Generate writes a Helm template for each object in config/default. It skips objects with a handwritten template.
func Generate(config, chart string) error {
	rendered, err := manifests.Render(filepath.Join(config, "default"))
	if err != nil {
		return err
	}
	documents, err := manifests.Split(rendered)
	if err != nil {
		return err
	}
	definitions := bytes.NewBufferString("{{- if .Values.crds.install }}\n")
	var objects bytes.Buffer
	for _, d := range documents {
		decoded, err := manifests.Decode(d)
		if err != nil {
			return err
		}
		switch o := decoded[0]; {
		case handwritten(o):
		case o.Kind() == "CustomResourceDefinition":
			text, err := withKeepAnnotation(escape(d))
			if err != nil {
				return fmt.Errorf("%s: %w", o.Name(), err)
			}
			definitions.WriteString("---\n" + text)
		default:
			objects.WriteString("---\n" + escape(d))
		}
	}
	definitions.WriteString("{{- end }}\n")
	folder := filepath.Join(chart, GeneratedFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // files of a repository
		return fmt.Errorf("create a folder: %w", err)
	}
	for name, content := range map[string][]byte{
		"definitions.yaml": definitions.Bytes(), "objects.yaml": objects.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil { //nolint:gosec // not secret
			return fmt.Errorf("write a template: %w", err)
		}
	}
	return nil
}

// escape returns a template that renders to the text.
func escape(text []byte) string {
	return strings.ReplaceAll(string(text), "{{", `{{ "{{" }}`)
}

func withKeepAnnotation(definition string) (string, error) {
	const annotations = "\n  annotations:\n"
	before, after, found := strings.Cut(definition, annotations) // the first annotations are those of the metadata
	if !found {
		return "", errors.New("the CustomResourceDefinition has no annotations")
	}
	return before + annotations + keepAnnotation + after, nil
}
