// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release builds the files of a release: an image for several platforms, manifests, a Helm chart, a bill of
// materials and checksums. The same source results in the same files.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/hack/release/chart"
	"github.com/kubevision-io/kubevision/hack/release/image"
	"github.com/kubevision-io/kubevision/hack/release/manifests"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("name a command: chart, manifests, rootfs, template or all")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := &release{}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	r.addFlags(fs)
	reference := fs.String("image", manifests.ProgramsImage, "the image in the manifests, with a tag or a digest")
	values := fs.String("values", "", "a file with values of the chart")
	if err := fs.Parse(args[1:]); err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	switch args[0] {
	case "all":
		return r.write(ctx)
	case "chart":
		return chart.Generate(filepath.Join(r.root, "config"), filepath.Join(r.root, "charts", "kubevision"))
	case "manifests":
		return printManifests(r.root, *reference)
	case "rootfs":
		return r.writeRootFiles(ctx)
	case "template":
		return printChart(ctx, r.root, *values)
	default:
		return fmt.Errorf("there is no command %q", args[0])
	}
}

// printManifests prints the manifests that install KubeVision. The Pods in the manifests run the image imageReference.
func printManifests(root, imageReference string) error {
	image, err := manifests.ParseImage(imageReference)
	if err != nil {
		return err
	}
	out, err := manifests.RenderWith(filepath.Join(root, "config", "default"), image)
	if err != nil {
		return err
	}
	return printAll(out)
}

// printChart renders the chart with the values in a file, and prints the objects, as "helm template" does.
func printChart(ctx context.Context, root, file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // a file of the caller
	if err != nil {
		return fmt.Errorf("read the values: %w", err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("read the values in %s: %w", file, err)
	}
	c, err := chart.Load(filepath.Join(root, "charts", "kubevision"))
	if err != nil {
		return err
	}
	out, err := chart.Render(ctx, c, chart.Namespace, values)
	if err != nil {
		return err
	}
	return printAll(out)
}

func printAll(manifests []byte) error {
	if _, err := os.Stdout.Write(manifests); err != nil {
		return fmt.Errorf("print the manifests: %w", err)
	}
	return nil
}

// writeRootFiles writes the certificates, time zones and accounts of the container image to the directory r.output. The
// Dockerfile copies this directory to the root directory of the image.
func (r *release) writeRootFiles(ctx context.Context) error {
	goroot, err := toolchain(ctx)
	if err != nil {
		return err
	}
	files, err := image.BaseFiles(goroot)
	if err != nil {
		return err
	}
	return image.WriteFiles(r.output, files)
}
