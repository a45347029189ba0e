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

// decodeYAML decodes the YAML document in body. It returns an error if body contains no document, or more than one.
// Empty documents do not count.
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
	return unparseable("there are several documents, and one is expected: " +
		"POST /clusters/{cluster}/apply takes several")
}

func documentsOf(body []byte) ([]document, error) {
	if err := checkSize(body); err != nil {
		return nil, err
	}
	return split(body)
}

// decode decodes the document into an object. It returns nil if the document is empty. The structure is checked before
// the content is decoded.
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

// check checks the YAML nodes of the document without resolving aliases. isEmpty is true if the document is empty or
// null. check returns an error in these cases:
//   - The text is not valid YAML, or contains several documents.
//   - The text is nested too deeply.
//   - The document would exceed MaxBytes if its aliases were resolved.
//   - The document contains values that the decoder would change.
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
	case e.depth > maxDepth+1: // the document node adds one level
		return false, unparseable("the manifest is nested deeper than %d levels", maxDepth)
	case e.size > MaxBytes:
		return false, unparseable("with its aliases resolved the manifest is larger than %d bytes", MaxBytes)
	}
	return empty(&tree), (&lossy{keys: map[string]string{}, precedingLines: d.lines}).check(&tree)
}

func empty(document *yaml.Node) bool {
	return len(document.Content) == 0 || (len(document.Content) == 1 && document.Content[0].Tag == "!!null")
}

// extent contains the size and the depth that a YAML node would have if every alias were replaced with the aliased
// node.
type extent struct {
	// size is the approximate size of the node and all nodes below it, in bytes.
	size int
	// depth is the number of levels of nodes below the node.
	depth int
}

// measure returns the size and the depth that the node n would have if every alias were replaced with the aliased node.
// It does not change n. It stores the results of all visited nodes in the map known.
func measure(n *yaml.Node, known map[*yaml.Node]extent) extent {
	if e, ok := known[n]; ok {
		return e
	}
	known[n] = extent{size: MaxBytes + 1} // a node that contains itself has an infinite size
	e := extent{size: len(n.Value) + 1}
	if n.Kind == yaml.AliasNode {
		// An anchor precedes its aliases. Therefore, known already contains the aliased node, and the recursion is not
		// deeper than the nesting of the text.
		e = measure(n.Alias, known)
	}
	for _, child := range n.Content {
		c := measure(child, known)
		e.size, e.depth = min(e.size+c.size, MaxBytes+1), max(e.depth, c.depth+1)
	}
	known[n] = e
	return e
}
