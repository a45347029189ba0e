// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type requestLogLine struct {
	Message   string `json:"msg"`
	RequestID string `json:"requestID"`
	Method    string `json:"method"`
	Route     string `json:"route"`
	Code      string `json:"code"`
	Duration  string `json:"duration"`
	User      string `json:"user"`
	Cluster   string `json:"cluster"`
}

func awaitLogLines(t *testing.T, program *localcluster.Program, id string) []requestLogLine {
	t.Helper()
	var found []requestLogLine
	read := func(context.Context) error {
		text, err := os.ReadFile(program.LogFile())
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		for line := range bytes.Lines(text) {
			var s requestLogLine
			if json.Unmarshal(line, &s) == nil && s.Message == "Served request" && s.RequestID == id {
				found = append(found, s)
			}
		}
		if len(found) == 0 {
			return fmt.Errorf("no line about %s", id)
		}
		return nil
	}
	if err := localcluster.Poll(t.Context(), 10*time.Second, "read the log", read); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestRequestLog verifies that the log contains one line for each request, with the route, the user and the response
// code. The log must not contain passwords, tokens or the values of query parameters.
func TestRequestLog(t *testing.T) {
	const confidential = "value-of-a-query"
	replica := replicaWith(t, "--v=3", "--logging-format=json")
	client, a := at(t, replica.Endpoint()), newActor(t, "readonly")
	a.Login = a.User.Login(t, client, wire.DirectPath)
	list := as(a.AccessToken, wire.Request{Path: wire.DirectPath + onHost + "/resources/pods"})
	becomes(t, client, wire.OK, list)

	list.Path += "?labelSelector=app%3D" + confidential
	ok := client.Call(t, list).Want(t, wire.OK)
	unknown := client.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + "/nothing?x=" + confidential}))
	unknown.Want(t, wire.NotFound)
	stranger := client.Call(t, wire.Request{Method: "INVENTED", Path: wire.DirectPath + me + "?x=" + confidential})
	stranger.Want(t, wire.Unauthenticated)

	user := "kubevision:" + a.User.Name
	for id, want := range map[string]requestLogLine{
		ok.Meta.RequestID: {Method: "GET", Route: "/clusters/{cluster}/resources/{resource}", Code: "0", User: user,
			Cluster: host},
		unknown.Meta.RequestID:  {Method: "GET", Route: "none", Code: "40400", User: user},
		stranger.Meta.RequestID: {Method: "other", Route: "none", Code: "40100"},
	} {
		lines := awaitLogLines(t, replica.Program, id)
		if len(lines) != 1 || lines[0].Duration == "" {
			t.Fatalf("the lines about %s are %+v", id, lines)
		}
		got := lines[0]
		want.Message, want.RequestID, want.Duration = got.Message, id, got.Duration
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	text, err := os.ReadFile(replica.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{confidential, a.AccessToken, a.RefreshToken, a.Password} {
		if i := bytes.Index(text, []byte(secret)); i >= 0 {
			t.Errorf("the log contains %q: %.300s", secret, text[max(0, i-200):])
		}
	}
}
