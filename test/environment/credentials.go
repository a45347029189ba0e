// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"bytes"
	"regexp"
)

// credential matches a signed token and a private key.
var credential = regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20,}|PRIVATE KEY-{5}`)

// FindCredential returns the beginning of the first line of a log that contains a signed token or a private key of any
// owner. It returns an empty text if there is none.
func FindCredential(log []byte) string {
	const shown = 200
	found := credential.FindIndex(log)
	if found == nil {
		return ""
	}
	line := log[bytes.LastIndexByte(log[:found[0]], '\n')+1:]
	return string(line[:min(len(line), shown)])
}
