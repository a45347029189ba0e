// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCheckStrength(t *testing.T) {
	known := []string{"jane.appleseed", "Jane Appleseed-Wunderlich", "jane@wunderlich-industries.example"}
	for name, tc := range map[string]struct {
		password string
		good     bool
	}{
		"words":                         {"lamp orbit walnut seldom", true},
		"random":                        {"kU9fQ2mXz7Lw", true},
		"not Latin":                     {"горох сливки барсук топор", true},
		"twelve characters in 36 bytes": {"鯨傘鍵森橋琴雷筆砂塔翼錨", true},
		"with blanks around":            {" tundra velvet quaver ", true},
		"the longest": {strings.Repeat("lamp orbit walnut seldom ", 40) +
			strings.Repeat("q", MaxLength-1000), true},
		"a NUL":                         {"lamp\x00orbit walnut seldom", true},
		"eleven characters":             {"kU9fQ2mXz7L", false},
		"eleven characters in 33 bytes": {"鯨傘鍵森橋琴雷筆砂塔翼", false},
		"empty":                         {"", false},
		"a byte too long": {strings.Repeat("lamp orbit walnut seldom ", 40) +
			strings.Repeat("q", MaxLength-999), false},
		"not UTF-8":                   {"lamp orbit walnut \xff seldom", false},
		"one character":               {strings.Repeat("a", 64), false},
		"one word, often":             {strings.Repeat("password", 8), false},
		"a famous one":                {"password1234", false},
		"in capitals":                 {"PASSWORD1234", false},
		"with the usual replacements": {"P@ssw0rd1234", false},
		"keyboard":                    {"qwertyuiop[]", false},
		"digits":                      {"123456789012", false},
		"a date":                      {"01.02.199001", false},
		"product":                     {"kubevision2026", false},
		"product in capitals":         {"KubeVision123!", false},
		"the user's name":             {"janeappleseed", false},
		"the display name":            {"Wunderlich1234", false},
		"the email address":           {"industries1234", false},
		"all that is known":           {"jane wunderlich", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckStrength(tc.password, known...)
			_, weak := errors.AsType[*WeakError](err)
			switch {
			case tc.good && err != nil:
				t.Errorf("refused: %v", err)
			case !tc.good && !weak:
				t.Errorf("got %v, want a WeakError", err)
			case !tc.good && tc.password != "" && strings.Contains(err.Error(), tc.password):
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// TestKnownWordsMatter verifies that a strong password is rejected if it is the name of the user.
func TestKnownWordsMatter(t *testing.T) {
	const name = "zbigniewkwasnowski"
	if err := CheckStrength(name); err != nil {
		t.Fatalf("it is weak by itself: %v", err)
	}
	for _, password := range []string{name, strings.ToUpper(name), name + "1"} {
		if err := CheckStrength(password, "", name, ""); err == nil {
			t.Errorf("%s is accepted for a user of that name", password)
		}
	}
}

// TestEstimatesAreQuick verifies that the strength estimate takes at most five seconds, even for the longest passwords.
// Otherwise, any user could block the server with the choice of a password.
func TestEstimatesAreQuick(t *testing.T) {
	known := []string{strings.Repeat("a", 63), strings.Repeat("ab ", 85), strings.Repeat("a.", 120) + "@" +
		strings.Repeat("b-", 30)}
	for name, password := range map[string]string{
		"one character":   strings.Repeat("a", MaxLength),
		"digits":          strings.Repeat("1", MaxLength),
		"years":           strings.Repeat("2019", MaxLength/4),
		"dates":           strings.Repeat("1.1.19", MaxLength/6),
		"keyboard":        strings.Repeat("qwertyuiop", MaxLength/10),
		"replacements":    strings.Repeat("@4({[<368!1|70$5+%2", MaxLength/19),
		"words":           strings.Repeat("password", MaxLength/8),
		"wide characters": strings.Repeat("鯨", MaxLength/3),
		"combining":       "e" + strings.Repeat("\u0301", MaxLength/2-1),
		"mixed":           strings.Repeat("aA1!", MaxLength/4),
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			_ = CheckStrength(password, known...)
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
