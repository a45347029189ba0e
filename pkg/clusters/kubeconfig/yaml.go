// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// hasAliases returns true if a YAML document contains an anchor or an alias. It returns false if the document cannot be
// parsed; the caller rejects such a document later.
func hasAliases(data []byte) bool {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return false
	}
	return containsAlias(&document)
}

func containsAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || n.Anchor != "" || slices.ContainsFunc(n.Content, containsAlias)
}
