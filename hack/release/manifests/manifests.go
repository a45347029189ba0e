// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests renders the kustomizations of config/.
package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	yamldocuments "go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// ProgramsImage is the name by which config/ refers to the image of the programs.
const ProgramsImage = "kubevision"

// Object is a decoded Kubernetes object.
type Object map[string]any

// Kind returns the kind of the object.
func (o Object) Kind() string { return text(o["kind"]) }

// Name returns the name of the object.
func (o Object) Name() string { return text(o.metadata()["name"]) }

// Key identifies the object among those of an installation.
func (o Object) Key() string {
	return fmt.Sprintf("%s %s %s/%s", text(o["apiVersion"]), o.Kind(), text(o.metadata()["namespace"]), o.Name())
}

func (o Object) metadata() map[string]any {
	m, _ := o["metadata"].(map[string]any)
	return m
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// Image is a reference to an image. A digest takes precedence over a tag.
type Image struct {
	Repository, Tag, Digest string
}

// Render renders the kustomization in a folder.
func Render(folder string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", folder, err)
	}
	out, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("write the objects of %s: %w", folder, err)
	}
	return out, nil
}

// ParseImage parses a reference with a tag or a digest.
func ParseImage(reference string) (Image, error) {
	if repository, digest, found := strings.Cut(reference, "@"); found {
		return Image{Repository: repository, Digest: digest}, nil
	}
	slash := strings.LastIndexByte(reference, '/')
	colon := strings.LastIndexByte(reference, ':')
	if colon <= slash || colon == len(reference)-1 || colon == 0 || reference[colon+1:] == "latest" {
		return Image{}, fmt.Errorf("the image %q needs a version as its tag, or a digest", reference)
	}
	return Image{Repository: reference[:colon], Tag: reference[colon+1:]}, nil
}

// RenderWith renders the kustomization in a folder, and replaces the image of the programs.
func RenderWith(folder string, image Image) ([]byte, error) {
	scratch, err := os.MkdirTemp("", "kubevision-manifests-")
	if err != nil {
		return nil, fmt.Errorf("create a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if scratch, err = filepath.EvalSymlinks(scratch); err != nil {
		return nil, fmt.Errorf("resolve the folder: %w", err)
	}
	base, err := relative(scratch, folder)
	if err != nil {
		return nil, err
	}
	replaced := types.Image{Name: ProgramsImage, NewName: image.Repository, NewTag: image.Tag, Digest: image.Digest}
	out, err := yaml.Marshal(types.Kustomization{Resources: []string{base}, Images: []types.Image{replaced}})
	if err != nil {
		return nil, fmt.Errorf("encode a kustomization: %w", err)
	}
	if err := os.WriteFile(filepath.Join(scratch, "kustomization.yaml"), out, 0o600); err != nil {
		return nil, fmt.Errorf("write a kustomization: %w", err)
	}
	return Render(scratch)
}

// relative returns the relative path from a folder to another one, because kustomize accepts no absolute paths.
func relative(from, to string) (string, error) {
	absolute, err := filepath.Abs(to)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err == nil {
		absolute, err = filepath.Rel(from, absolute)
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", to, err)
	}
	return filepath.ToSlash(absolute), nil
}

// Split returns the non-empty documents of a file of manifests in their order.
func Split(file []byte) ([][]byte, error) {
	var out [][]byte
	decoder := yamldocuments.NewDecoder(bytes.NewReader(file))
	for {
		var document yamldocuments.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode manifests: %w", err)
		}
		if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
			continue
		}
		var buffer bytes.Buffer
		encoder := yamldocuments.NewEncoder(&buffer)
		encoder.SetIndent(2)
		if err := encoder.Encode(&document); err != nil {
			return nil, fmt.Errorf("encode a manifest: %w", err)
		}
		out = append(out, buffer.Bytes())
	}
}

// Decode returns the objects in a file of manifests.
func Decode(file []byte) ([]Object, error) {
	documents, err := Split(file)
	if err != nil {
		return nil, err
	}
	out := make([]Object, 0, len(documents))
	for _, d := range documents {
		var o Object
		if err := yaml.Unmarshal(d, &o); err != nil {
			return nil, fmt.Errorf("decode a manifest: %w", err)
		}
		out = append(out, o)
	}
	return out, nil
}
