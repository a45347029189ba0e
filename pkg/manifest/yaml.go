// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// check refuses YAML that is not one document, that is nested too deep, or that aliases make larger than a manifest may be. It does so on the
// tree, in which an alias is not yet what it stands for.
func check(body []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return unparseable("the manifest is empty")
		}
		return unparseable("the manifest is not valid YAML: %s", withoutValues(err))
	}
	var next yaml.Node
	switch err := decoder.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return unparseable("the manifest is not valid YAML: %s", withoutValues(err))
	case !empty(&next):
		return unparseable("there are several documents where one is expected: send them one by one")
	}
	switch e := measure(&document, map[*yaml.Node]extent{}); {
	case e.height > maxDepth+1: // the document is a level of its own
		return unparseable("the manifest is nested deeper than %d levels", maxDepth)
	case e.size > MaxBytes:
		return unparseable("with its aliases resolved the manifest is larger than %d bytes", MaxBytes)
	}
	return (&lossy{keys: map[string]string{}}).check(&document)
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

var (
	yamlLine  = regexp.MustCompile(`line \d+`)
	yamlField = regexp.MustCompile(`key "[^"]{1,64}" already set`)
)

// withoutValues is what an error of the YAML library says that is no value: those may be secret.
func withoutValues(err error) string {
	where := yamlLine.FindString(err.Error())
	if where == "" {
		where = "unknown line"
	}
	if field := yamlField.FindString(err.Error()); field != "" {
		return field + " in " + where
	}
	return "error near " + where
}
