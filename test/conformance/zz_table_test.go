// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"os"
	"testing"
)

// TestTable verifies that the tests have received each response code through each path of access, for at least two
// different requests. No request may have received another code than the expected one. The test runs last, and prints
// the numbers of requests for each code and path of access.
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
