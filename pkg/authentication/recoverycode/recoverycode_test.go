// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recoverycode

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCodes(t *testing.T) {
	codes, hashes, err := New("uid-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(codes) != Count || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != Count {
		t.Errorf("the codes are %d, or not all different", len(codes))
	}
	form := regexp.MustCompile(`^([a-z2-7]{4}-){3}[a-z2-7]{4}$`)
	for i, code := range codes {
		if !form.MatchString(code) {
			t.Errorf("code %d has another form: %d characters", i, len(code))
		}
		if slices.ContainsFunc(hashes, func(h string) bool {
			return strings.Contains(h,
				strings.ReplaceAll(code, "-", ""))
		}) {
			t.Errorf("code %d stands in clear among the hashes", i)
		}
	}
	for _, typed := range []string{codes[0], strings.ToUpper(codes[0]), strings.ReplaceAll(codes[0], "-", " "),
		strings.ReplaceAll(codes[0], "-", "")} {
		rest, ok := Redeem(hashes, "uid-1", typed)
		if !ok || len(rest) != Count-1 {
			t.Errorf("%d of %d left, %v", len(rest), Count, ok)
		}
		if _, again := Redeem(rest, "uid-1", typed); again {
			t.Error("a code is good twice")
		}
	}
	for _, wrong := range []string{"", "-", codes[0] + "a", codes[0][1:]} {
		if _, ok := Redeem(hashes, "uid-1", wrong); ok {
			t.Errorf("a wrong code of %d characters is good", len(wrong))
		}
	}
	if _, ok := Redeem(hashes, "uid-2", codes[0]); ok {
		t.Error("another user's code is good")
	}
	if _, ok := Redeem(nil, "uid-1", ""); ok {
		t.Error("nothing is good where there are no codes")
	}
}
