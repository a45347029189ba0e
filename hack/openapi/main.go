// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command openapi prints the OpenAPI document of the dashboard's API, from which clients are generated.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/kubevision-io/kubevision/pkg/apiserver"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	document, err := apiserver.Document(ctx)
	if err != nil {
		return fmt.Errorf("generating the document: %w", err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("writing the document: %w", err)
	}
	return nil
}
