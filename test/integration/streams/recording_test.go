// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// recordedTerminal is an item of the API response that lists the recordings of terminals.
type recordedTerminal struct {
	ID, UserID, Cluster, Namespace, Pod, Container, Verb string
	Command                                              []string
	Bytes                                                int64
}

// auditor creates a user who may list and play recordings. The user gets this right from a ClusterRole on the host
// cluster, not from a KubeVisionRoleBinding.
func auditor(tb testing.TB) person {
	tb.Helper()
	p := newPerson(tb, "auditor")
	rules := []rbacv1.PolicyRule{{
		APIGroups: []string{"kubevision.io"}, Resources: []string{"terminalsessions"}, Verbs: []string{"list", "get"},
	}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("auditor")}, Rules: rules}
	set().Create(tb, role)
	set().Create(tb, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{
			APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "kubevision:" + p.User.Name,
		}},
	})
	fixture.Eventually(tb, "the right of the auditor", func(ctx context.Context) error {
		return p.client.Answers(ctx, 0, p.get("/terminal-sessions?limit=1"))
	})
	return p
}

// TestRecording verifies that each terminal is recorded in an encrypted file. Only users with RBAC rights for
// recordings on the host cluster can play a recording.
func TestRecording(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	conn := open(t, p.client, p.get(ofPod(namespace, "web", "exec?container=main&command=sh")))
	conn.send(t, typed{Type: "resize", Cols: 91, Rows: 17})
	conn.send(t, typed{Type: "input", Data: "echo canary-$((40+2)) '<b>'\n"})
	readUntil(t, conn, func(f frame) bool { return strings.Contains(f.Data, "canary-42") })
	conn.send(t, typed{Type: "input", Data: "exit\n"})
	readUntil(t, conn, func(f frame) bool { return f.Type == "close" })
	// The output of a command without a terminal does not contain the input, so the input is recorded separately.
	plain := open(t, p.client, p.get(ofPod(namespace, "web", "exec?container=main&command=sh&tty=false")))
	plain.send(t, typed{Type: "input", Data: "exit # silent-canary\n"})
	readUntil(t, plain, func(f frame) bool { return f.Type == "close" })

	a := auditor(t)
	var found []recordedTerminal
	a.client.Call(t, a.get("/terminal-sessions?limit=200")).Want(t, wire.OK).Into(t, &found)
	found = slices.DeleteFunc(found, func(s recordedTerminal) bool { return s.Namespace != namespace })
	if len(found) != 2 || found[0].UserID != "kubevision:"+p.User.Name || found[0].Pod != "web" ||
		found[0].Container != "main" || found[0].Cluster != host || found[0].Verb != "exec" ||
		!slices.Equal(found[0].Command, []string{"sh"}) {
		t.Fatalf("the recordings are %+v", found)
	}
	var played struct{ Recording string }
	var text strings.Builder
	for _, s := range found {
		a.client.Call(t, a.get("/terminal-sessions/"+s.ID+"/play")).Want(t, wire.OK).Into(t, &played)
		header, _, _ := strings.Cut(played.Recording, "\n")
		var first struct{ Version int }
		if err := json.Unmarshal([]byte(header), &first); err != nil || first.Version != 2 {
			t.Errorf("the header is %q (%v)", header, err)
		}
		text.WriteString(played.Recording)
	}
	all := text.String()
	for _, want := range []string{"canary-42 <b>", `"r","91x17"`, "silent-canary", `"m","ended: done"`} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not recorded: %s", want, all)
		}
	}
	entries, err := os.ReadDir(recordingsDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(recordingsDir + "/" + e.Name())
		if err != nil || strings.Contains(string(raw), "canary") {
			t.Errorf("%s is not encrypted (%v)", e.Name(), err)
		}
	}
	// Neither the user of a terminal nor an administrator of the cluster has the right to the recording.
	for _, path := range []string{"/terminal-sessions", "/terminal-sessions/" + found[0].ID + "/play"} {
		p.client.Call(t, p.get(path)).Want(t, wire.Forbidden)
	}
	for _, id := range []string{"1", "..%2fkeys", "20260101t000000-abc"} {
		if e := a.client.Call(t, a.get("/terminal-sessions/"+id+"/play")); e.Code == wire.OK {
			t.Errorf("%s is played", id)
		}
	}
	a.client.Call(t, a.get("/terminal-sessions?limit=-1")).Want(t, wire.Invalid)
}

// TestUnrecordedTerminals verifies that a client gets no data from a container while the server cannot record terminals
// and copied files.
func TestUnrecordedTerminals(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	hidden := recordingsDir + ".hidden"
	if err := os.Rename(recordingsDir, hidden); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(hidden, recordingsDir); err != nil {
			t.Error(err)
		}
	}()
	for _, what := range []string{"exec?command=echo&command=canary&tty=false", "copy?from=/etc/hostname"} {
		conn, refusal, err := p.client.WebSocket(t.Context(), p.get(ofPod(namespace, "web", what)))
		if err != nil {
			t.Fatal(err)
		}
		if refusal != nil {
			refusal.Envelope(t).Want(t, wire.Unreachable)
			continue
		}
		showsNothing(t, newSocket(conn))
	}
}
