// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release builds what a release consists of: an image for several platforms, manifests, a Helm chart, a bill of
// materials and checksums. The same source gives the same files.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

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
		return errors.New("name a command: chart, manifests, rootfs or all")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := &release{}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	r.addFlags(fs)
	reference := fs.String("image", manifests.ProgramsImage, "the image in the manifests, with a tag or a digest")
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
	default:
		return fmt.Errorf("there is no command %q", args[0])
	}
}

// printManifests prints the manifests of an installation with an image.
func printManifests(root, reference string) error {
	image, err := manifests.ParseImage(reference)
	if err != nil {
		return err
	}
	out, err := manifests.RenderWith(filepath.Join(root, "config", "default"), image)
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write(out); err != nil {
		return fmt.Errorf("print the manifests: %w", err)
	}
	return nil
}

// writeRootFiles writes the files of the image beside the programs to a folder, for the Dockerfile.
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
