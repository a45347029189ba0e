// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// wanted is the code that stands behind a call in the documentation.
var (
	wanted   = regexp.MustCompile(`(?m)^(.*) # (\d+)$`)
	answered = regexp.MustCompile(`(?m)^CODE (\d+) `)
)

// TestADay runs what the page on the API shows, as somebody with a shell and curl would.
func TestADay(t *testing.T) {
	admin := newPerson(t, "admin")
	set().Create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}})
	script, want := day(t)
	if len(want) < 20 {
		t.Fatalf("the page has %d calls", len(want))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script)
	shell.Env = append(os.Environ(), "API="+env.KubeVision.Endpoint()+wire.DirectPath+"/clusters/"+host, "AUTH=Authorization: Bearer "+admin.AccessToken,
		"CURL_CA_BUNDLE="+env.KubeVision.CAFile())
	out, err := shell.CombinedOutput()
	var got []string
	for _, m := range answered.FindAllStringSubmatch(string(out), -1) {
		got = append(got, m[1])
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\ngot  %v\nwant %v\n%s", err, got, want, out)
	}
}

// day is the script of the page, in which every call prints its code, and the codes that the page shows.
func day(tb testing.TB) (string, []string) {
	tb.Helper()
	root, err := localcluster.ModuleRoot()
	if err != nil {
		tb.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "api.md"))
	if err != nil {
		tb.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## A day\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var script strings.Builder
	script.WriteString("set -o errexit -o nounset -o pipefail\ncurl() { command curl --silent --show-error --max-time 60 \"$@\"; }\n")
	for line := range strings.Lines(section) {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			script.WriteString(code)
		}
	}
	var want []string
	text := wanted.ReplaceAllStringFunc(script.String(), func(line string) string {
		m := wanted.FindStringSubmatch(line)
		want = append(want, m[2])
		return fmt.Sprintf(`%s | sed -E 's/^\{"code":([0-9]+),"message":"([^"]*).*/CODE \1 \2/'`, m[1])
	})
	return text, want
}
