// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"os"
	"testing"
)

// TestTable verifies that earlier tests have received each response code for at least two different requests. It also
// prints the number of requests for each code.
func TestTable(t *testing.T) {
	for _, name := range []string{"TestAuth", "TestCodes"} {
		if !results.tests[name] {
			t.Skipf("%s, which fills the table, was not run", name)
		}
	}
	_, _ = fmt.Fprintf(os.Stdout, "\nHow many different requests were answered with each code, through each "+
		"door:\n\n%s\n\n", results)
	for _, gap := range results.gaps() {
		t.Error(gap)
	}
}
