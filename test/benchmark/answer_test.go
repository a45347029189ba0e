// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func answered(response *wire.Response, codes ...int) (int, error) {
	e, err := response.Parse()
	if err != nil {
		return 0, fmt.Errorf("not an envelope: %w", err)
	}
	if !slices.Contains(codes, e.Code) {
		return 0, fmt.Errorf("code %d (%s), want one of %v", e.Code, e.Message, codes)
	}
	return e.Code, nil
}

// succeeded fails the benchmark unless the code in the JSON body of the response is 0, which means success.
func succeeded(b *testing.B, response *wire.Response) {
	b.Helper()
	if _, err := answered(response, wire.OK); err != nil {
		b.Fatal(err)
	}
}
