// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// decodeYAML reads the only document of a text that is not empty.
func decodeYAML(body []byte) (map[string]any, error) {
	documents, err := documentsOf(body)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	for _, d := range documents {
		object, err := d.decode()
		switch {
		case err != nil:
			return nil, err
		case out != nil && object != nil:
			return nil, several()
		case object != nil:
			out = object
		}
	}
	if out == nil {
		return nil, unparseable("the manifest is empty")
	}
	return out, nil
}

func several() error {
	return unparseable("there are several documents where one is expected: " +
		"POST /clusters/{cluster}/apply takes several")
}

func documentsOf(body []byte) ([]document, error) {
	if err := checkSize(body); err != nil {
		return nil, err
	}
	return split(body)
}

// decode reads the document; nil if it is empty. It looks at the structure before anything is made of it.
func (d document) decode() (map[string]any, error) {
	isEmpty, err := d.check()
	if isEmpty || err != nil {
		return nil, err
	}
	converted, err := sigsyaml.YAMLToJSONStrict(d.text)
	if err != nil {
		return nil, d.invalidYAML(err)
	}
	return decodeJSON(converted)
}

// check refuses YAML that is not one document, that is nested too deep, or that aliases make larger than a manifest may
// be. It does so on the tree, in which an alias is not yet what it stands for.
func (d document) check() (isEmpty bool, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(d.text))
	var tree yaml.Node
	if err := decoder.Decode(&tree); err != nil {
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		return false, d.invalidYAML(err)
	}
	var next yaml.Node
	switch err := decoder.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return false, d.invalidYAML(err)
	case !empty(&next):
		return false, several()
	}
	switch e := measure(&tree, map[*yaml.Node]extent{}); {
	case e.height > maxDepth+1: // the document is a level of its own
		return false, unparseable("the manifest is nested deeper than %d levels", maxDepth)
	case e.size > MaxBytes:
		return false, unparseable("with its aliases resolved the manifest is larger than %d bytes", MaxBytes)
	}
	return empty(&tree), (&lossy{keys: map[string]string{}, lines: d.lines}).check(&tree)
}

func empty(document *yaml.Node) bool {
	return len(document.Content) == 0 || (len(document.Content) == 1 && document.Content[0].Tag == "!!null")
}

// extent is how large a part of a document becomes with its aliases resolved, and how many levels it has.
type extent struct{ size, height int }

// measure looks at every node once. What an alias stands for comes before the alias, so that it does not go deeper than the text does.
func measure(n *yaml.Node, known map[*yaml.Node]extent) extent {
	if e, ok := known[n]; ok {
		return e
	}
	known[n] = extent{size: MaxBytes + 1} // what contains itself is endless
	e := extent{size: len(n.Value) + 1}
	if n.Kind == yaml.AliasNode {
		e = measure(n.Alias, known)
	}
	for _, child := range n.Content {
		c := measure(child, known)
		e.size, e.height = min(e.size+c.size, MaxBytes+1), max(e.height, c.height+1)
	}
	known[n] = e
	return e
}
