// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/pkg/strictdecoding"
)

const (
	binaryTag = "!!binary"
	mergeKey  = "<<"
	// maxKeyShown bounds the number of bytes of a key, or of a path of keys, in an error message.
	maxKeyShown = 64
)

var (
	// yamlInteger matches decimal integers in the notation of YAML 1.1.
	yamlInteger = regexp.MustCompile(`^[-+]?(0|[1-9][0-9_]*)$`)
	// yamlFloat matches decimal numbers in the notation of YAML 1.1, with or without a fraction or an exponent.
	yamlFloat = regexp.MustCompile(`^[-+]?(\.\d+|\d[0-9_]*(\.[0-9_]*)?)([eE][-+]?\d+)?$`)
	// perhapsTyped matches keys that YAML 1.1 may decode as another type than string: numbers, and spellings of true,
	// false and null.
	perhapsTyped = regexp.MustCompile(`^([-+.0-9~].*|[yY]|[nN]|(?i:yes|no|on|off|true|false|null))$`)
)

// lossy finds values that the YAML decoder would change silently: different YAML keys that become the same JSON key,
// numbers that lose digits, and binary values. It checks the YAML nodes before aliases are resolved.
type lossy struct {
	// keys caches conversions of YAML keys. It maps the text of a YAML key to the JSON key that the YAML decoder
	// creates. For example, the decoder converts the YAML key yes to the JSON key true.
	keys map[string]string
	// path contains the keys that lead to the current node.
	path []string
	// precedingLines is the number of lines that precede the YAML document in the manifest. Error messages count lines
	// from the beginning of the manifest.
	precedingLines int
}

func (l *lossy) place(n *yaml.Node) string { return place(n.Line+l.precedingLines, n.Column) }

func (l *lossy) check(n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		return l.checkMapping(n)
	case yaml.ScalarNode:
		return l.checkScalar(n)
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, child := range n.Content {
			if err := l.check(child); err != nil {
				return err
			}
		}
	case yaml.AliasNode: // the anchored node is checked at its own position
	}
	return nil
}

func (l *lossy) checkMapping(n *yaml.Node) error {
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name, err := l.name(key)
		if err != nil {
			return unparseable("the manifest is not valid YAML: %s: %s", l.place(key), err.Error())
		}
		first, twice := lines[name]
		merged := name == mergeKey && key.Tag == "!!merge"
		if twice && !merged {
			return unparseable("the manifest is not valid YAML: key %q in %s is a duplicate of line %d", shown(name),
				l.place(key), first)
		}
		lines[name] = key.Line + l.precedingLines
		l.path = append(l.path, name)
		if err := l.check(value); err != nil {
			return err
		}
		l.path = l.path[:len(l.path)-1]
	}
	return nil
}

func (l *lossy) checkScalar(n *yaml.Node) error {
	reason := ""
	switch text := strings.ReplaceAll(n.Value, "_", ""); {
	case n.ShortTag() == binaryTag:
		reason = "is binary, which JSON cannot represent: send it as base64 text"
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 &&
		n.Style&yaml.TaggedStyle == 0:
	case yamlInteger.MatchString(n.Value):
		reason = strictdecoding.Number(text)
	case yamlFloat.MatchString(n.Value) && strings.ContainsAny(n.Value, ".eE"):
		reason = strictdecoding.Number(text)
	}
	if reason != "" {
		return unparseable("%s in %s %s", shown(strings.Join(l.path, ".")), l.place(n), reason)
	}
	return nil
}

func shown(name string) string { return name[:min(len(name), maxKeyShown)] }

// name returns the JSON key into which a YAML key is converted. It returns an error if the key is not a scalar or
// cannot be converted.
func (l *lossy) name(key *yaml.Node) (string, error) {
	if key.Kind == yaml.AliasNode && key.Alias != nil {
		key = key.Alias
	}
	quoted := key.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	tagged := key.Style&yaml.TaggedStyle != 0
	switch {
	case key.Kind != yaml.ScalarNode:
		return "", errors.New("the key is not a scalar")
	case tagged:
		return l.jsonKey(key.Tag + " " + quote(key.Value))
	case quoted || !perhapsTyped.MatchString(key.Value):
		return key.Value, nil
	default:
		return l.jsonKey(key.Value)
	}
}

func quote(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil { // Impossible for a string.
		return `""`
	}
	return string(encoded)
}

func (l *lossy) jsonKey(yamlKey string) (string, error) {
	if name, ok := l.keys[yamlKey]; ok {
		return name, nil
	}
	// This library also decodes the document. Another library might convert a key such as "yes" differently.
	converted, err := sigsyaml.YAMLToJSON([]byte(yamlKey + ": 0\n"))
	if err != nil {
		return "", errors.New("the key cannot be converted to JSON")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(converted, &object); err != nil || len(object) != 1 {
		return "", errors.New("the key cannot be converted to JSON")
	}
	for name := range object {
		l.keys[yamlKey] = name
		return name, nil
	}
	return "", nil
}
