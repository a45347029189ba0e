// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const watchPath = "/ws/watch"

func withTicket(p person, ticket string) wire.Request {
	return wire.Request{Path: p.base + watchPath + "?ticket=" + ticket}
}

// TestTicketIsGoodOnce verifies that a ticket is valid once, on any replica.
func TestTicketIsGoodOnce(t *testing.T) {
	p := newPerson(t, "once")
	other, err := env.KubeVision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Stop() })
	second := at(t, other.Endpoint())
	ticket := p.ticket(t, "")
	open(t, p.client, withTicket(p, ticket)).isAlive(t)
	for _, c := range []*wire.Client{p.client, second} {
		refused(t, c, withTicket(p, ticket)).Want(t, wire.Unauthenticated)
	}
	ticket = p.ticket(t, "")
	open(t, second, withTicket(p, ticket)).isAlive(t)
	refused(t, p.client, withTicket(p, ticket)).Want(t, wire.Unauthenticated)
}

// TestTicketsAtOnce verifies that only one of many concurrent uses of a ticket opens a stream.
func TestTicketsAtOnce(t *testing.T) {
	p := newPerson(t, "race")
	ticket := p.ticket(t, "{}")
	const tries = 8
	opened := make(chan bool, tries)
	for range tries {
		go func() {
			conn, _, err := p.client.WebSocket(t.Context(), withTicket(p, ticket))
			if err != nil {
				t.Error(err)
			}
			if conn != nil {
				_ = conn.Close()
			}
			opened <- conn != nil
		}()
	}
	n := 0
	for range tries {
		if <-opened {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d streams are open with one ticket", n)
	}
}

// TestTicketIsBound verifies the restrictions of a ticket, with which a client opens a stream:
//   - The ticket opens only the stream that the ticket names.
//   - A modified ticket is invalid.
//   - The server does not accept the ticket as an access token.
//   - The ticket is invalid after the logout of the user.
func TestTicketIsBound(t *testing.T) {
	p := newPerson(t, "bound")
	for _, body := range []string{
		`{"verb":"exec"}`, `{"cluster":"host"}`, `{"namespace":"default"}`, `{"pod":"web"}`,
	} {
		refused(t, p.client, withTicket(p, p.ticket(t, body))).Want(t, wire.Unauthenticated)
	}
	open(t, p.client, withTicket(p, p.ticket(t, `{"verb":"watch"}`))).isAlive(t)
	// A ticket for a Pod does not open a stream of a workload with the same name.
	for kind, accepted := range map[string]bool{"pods": true, "deployments": false} {
		e := refused(t, p.client, wire.Request{Path: p.base + "/clusters/host/namespaces/default/" + kind +
			"/web/logs?ticket=" + p.ticket(t, `{"verb":"logs","pod":"web"}`)})
		if (e.Code != wire.Unauthenticated) != accepted {
			t.Errorf("%s: code %d (%s)", kind, e.Code, e.Message)
		}
	}
	ticket := p.ticket(t, "")
	at := strings.Index(ticket, ".")
	flip := func(i int) string { // replaces a character with another character of the alphabet
		return ticket[:i] + map[bool]string{true: "B", false: "A"}[ticket[i] == 'A'] + ticket[i+1:]
	}
	for name, forged := range map[string]string{
		"body": flip(at / 2), "code": flip(at + 3), "no code": ticket[:at], "empty code": ticket[:at+1], "empty": "",
		"token": p.AccessToken,
	} {
		if e := refused(t, p.client, withTicket(p, forged)); e.Code != wire.Unauthenticated {
			t.Errorf("%s: code %d (%s)", name, e.Code, e.Message)
		}
	}
	for _, path := range []string{"/users/me", "/clusters", "/clusters/host/log/namespaces/default/pods/web",
		"/clusters/host/log/namespaces/default/deployments/web"} {
		p.client.Call(t, wire.Request{Path: p.base + path + "?ticket=" + ticket}).Want(t, wire.Unauthenticated)
		p.client.Call(t, wire.Request{Path: p.base + path + "?ticket=" + ticket, Bearer: p.AccessToken}).Want(t,
			wire.Unauthenticated)
	}
	p.client.Call(t, wire.Request{Path: p.base + "/users/me", Bearer: ticket}).Want(t, wire.Unauthenticated)
	p.client.Call(t, wire.Request{Method: "POST", Path: p.base + "/auth/logout", Bearer: p.AccessToken}).Want(t,
		wire.OK)
	refused(t, p.client, withTicket(p, ticket)).Want(t, wire.TokenExpired)
}

// TestSpentTicketsAreForgotten verifies that a session stores a used ticket only until the ticket expires. If the
// session stores the maximum number of used tickets, the server rejects further tickets.
func TestSpentTicketsAreForgotten(t *testing.T) {
	p := newPerson(t, "spender")
	for range kubevisionv1alpha1.MaxSpentTickets {
		conn, _, err := p.client.WebSocket(t.Context(), withTicket(p, p.ticket(t, "")))
		if err != nil || conn == nil {
			t.Fatalf("a stream is refused: %v", err)
		}
		_ = conn.Close()
	}
	refused(t, p.client, withTicket(p, p.ticket(t, ""))).Want(t, wire.TooManyRequests)
	s := &kubevisionv1alpha1.KubeVisionSession{}
	get := func() {
		if err := env.Client.Get(t.Context(), types.NamespacedName{Name: sessionOf(t, p)}, s); err != nil {
			t.Fatal(err)
		}
	}
	get()
	for i := range s.Spec.SpentTickets { // simulates a minute
		s.Spec.SpentTickets[i].ExpirationTime.Time = s.Spec.SpentTickets[i].ExpirationTime.Add(-2 * 60 * 1e9)
	}
	if err := env.Programs.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	open(t, p.client, withTicket(p, p.ticket(t, ""))).isAlive(t)
	get()
	if n := len(s.Spec.SpentTickets); n != 1 {
		t.Errorf("%d tickets are remembered", n)
	}
}

// TestTicketIsNowhere verifies that neither the log nor the audit log contains a ticket, whether it is accepted or not.
func TestTicketIsNowhere(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, "-v=9", "--audit-log-path="+audit,
		"--audit-policy-file="+policy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	p := newPerson(t, "canary")
	c := at(t, replica.Endpoint())
	good, spent, other := p.ticket(t, ""), p.ticket(t, ""), p.ticket(t, `{"verb":"exec"}`)
	open(t, c, withTicket(p, good)).isAlive(t)
	open(t, c, withTicket(p, spent)).isAlive(t)
	refused(t, c, withTicket(p, spent)).Want(t, wire.Unauthenticated)
	refused(t, c, withTicket(p, other)).Want(t, wire.Unauthenticated)
	c.Call(t, wire.Request{Path: p.base + "/users/me?Ticket=" + other, Bearer: p.AccessToken}).Want(t,
		wire.Unauthenticated)
	c.Call(t, wire.Request{Path: p.base + watchPath + "?ticket=" + other}).Want(t, wire.Invalid)
	log := checkLog(t, replica, good)
	events, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(events), watchPath) || !strings.Contains(log, watchPath) {
		t.Error("the log and the audit log have nothing about the stream")
	}
	for _, ticket := range []string{good, spent, other} {
		for where, text := range map[string]string{"log": log, "audit log": string(events)} {
			if strings.Contains(text, ticket) || strings.Contains(text, ticket[strings.Index(ticket, ".")+1:]) {
				t.Errorf("the %s has a ticket", where)
			}
		}
	}
}

// checkLog stops a replica of kubevision-apiserver, and returns the log of the replica. The test fails if the log
// contains the given secret.
func checkLog(tb testing.TB, replica *localcluster.APIServer, secret string) string {
	tb.Helper()
	if err := replica.Stop(); err != nil {
		tb.Fatal(err)
	}
	log, err := os.ReadFile(replica.LogFile())
	if err != nil {
		tb.Fatal(err)
	}
	if strings.Contains(string(log), secret) {
		tb.Error("the log has a secret")
	}
	return string(log)
}
