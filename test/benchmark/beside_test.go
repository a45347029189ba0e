// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const thinkTime = 200 * time.Millisecond

// BenchmarkFloods measures the requests of ten users with and without a flood of requests from other clients. The ten
// users list Pods continuously and log in from unknown addresses. The main metrics are:
//
//   - p99-ratio: the p99 latency of the users' list requests during a flood, divided by the p99 latency without a
//     flood. The goal is at most 2.
//   - flood-logins-in-time: the share of the users' logins during a flood that succeed within five seconds. The goal is
//     at least 0.9.
//   - rss-peak-MiB: the peak resident memory of the server. The goal is at most the memory limit in config/ (1 GiB),
//     because the kernel kills a server that exceeds the limit.
func BenchmarkFloods(b *testing.B) {
	others := newTeam(b)
	b.Run("bodies", func(b *testing.B) {
		const atOnce, each = 300, 20 // a client without a response delays its wave, but not the other clients
		others.measure(b, crowd{
			Body: 3 << 20, Size: atOnce, Repeat: each, Shared: true,
			Codes: []int{wire.Invalid, wire.Unauthenticated, wire.TooManyRequests},
		})
	})
	b.Run("logins", func(b *testing.B) {
		others.measure(b, crowd{Username: fixture.Name("nobody"), Distinct: true, Size: guessers, Forwarded: true})
	})
	b.Run("refresh-tokens", func(b *testing.B) {
		const each = 50
		others.measure(b, crowd{Invented: true, Size: guessers, Repeat: each, Forwarded: true})
	})
	b.Run("sessions", func(b *testing.B) {
		const atOnce, each = 4, 10
		u := set().User(b, "looping")
		others.measure(b, crowd{Username: u.Name, Password: u.Password, Size: atOnce, Repeat: each, Forwarded: true})
	})
	b.Run("endless-member", func(b *testing.B) {
		const atOnce = 16
		cluster := newEndlessMember(b)
		others.measure(b, crowd{
			Lists: podsOf(cluster, "default"), Bearer: tokenFor(b, cluster, "default"), Size: atOnce,
			Codes: []int{wire.OK, wire.TooManyRequests, wire.Unreachable},
		})
	})
	b.Run("lists", func(b *testing.B) { // runs last, because its Pods would slow down the other lists
		const atOnce = 48
		ns := createManyPods(b)
		others.measure(b, crowd{Lists: podsOf(host, ns), Bearer: tokenFor(b, host, ns), Size: atOnce})
	})
}

func podsOf(cluster, namespace string) string {
	return wire.DirectPath + "/clusters/" + cluster + "/namespaces/" + namespace + "/resources/pods"
}

// team is a group of users whose requests are measured while other clients overload the server.
type team struct {
	users []fixture.User
	lists []*bystander
}

func newTeam(b *testing.B) *team {
	b.Helper()
	first := newBystander(b, listedPods)
	t := &team{}
	for range people {
		u := set().User(b, "member")
		t.users = append(t.users, u)
		set().Bind(b, "member", fixture.Grant{
			Role: "readonly", Subjects: fixture.KubeVisionUsers(u), Cluster: host,
			Namespaces: []string{first.namespace},
		})
		t.lists = append(t.lists, &bystander{client: first.client, namespace: first.namespace, request: first.request})
	}
	return t
}

func tokenFor(b *testing.B, cluster, namespace string) string {
	b.Helper()
	u := set().User(b, "greedy")
	set().Bind(b, "greedy", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(u), Cluster: cluster, Namespaces: []string{namespace},
		Unconnected: cluster != host,
	})
	client := direct(b)
	bearer := u.Login(b, client, wire.DirectPath).AccessToken
	fixture.Eventually(b, "be let in", func(ctx context.Context) error {
		response, err := client.Do(ctx, wire.Request{Path: podsOf(cluster, namespace), Bearer: bearer})
		if err != nil {
			return err
		}
		_, err = answered(response, wire.OK, wire.TooManyRequests, wire.Unreachable)
		return err
	})
	return bearer
}

// measure reports how a flood of requests from other clients affects a new server and the users of the team.
func (t *team) measure(b *testing.B, c crowd) {
	b.Helper()
	b.Cleanup(func() { forgive(b) })
	replica := t.startServer(b)
	c.Endpoint = replica.Endpoint()
	s := newSender(b, c)
	var quiet, flooded phase
	for b.Loop() {
		quiet.add(t.work(b))
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error)
		go func() { ended <- s.until(ctx) }()
		flooded.add(t.work(b))
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	memory := readMemory(b, replica.PID())
	if limit := replica.MemoryLimit().Bytes; limit == 0 || memory.peak > float64(limit>>20) {
		b.Errorf("the server held %.0f MiB of %d", memory.peak, limit>>20)
	}
	b.Logf("%d lists without load, %d during %d requests", len(quiet.lists), len(flooded.lists), s.last.Sent)
	b.ReportMetric(0, "ns/op") // the duration is fixed
	compare(b, 50, "flood", flooded.lists, "quiet", quiet.lists)
	compare(b, 99, "flood", flooded.lists, "quiet", quiet.lists)
	b.ReportMetric(share(quiet.inTime, len(quiet.logins)), "quiet-logins-in-time")
	b.ReportMetric(share(flooded.inTime, len(flooded.logins)), "flood-logins-in-time")
	b.ReportMetric(milliseconds(flooded.logins.percentile(90)), "flood-login-p90-ms")
	b.ReportMetric(share(flooded.refused, flooded.refused+len(flooded.lists)), "lists-refused")
	b.ReportMetric(memory.peak, "rss-peak-MiB")
	s.report(b)
}

func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

// startServer starts kubevision-apiserver, and logs in all users of the team to this server. Then it resets the
// recorded peak memory of the server.
func (t *team) startServer(b *testing.B) *localcluster.APIServer {
	b.Helper()
	replica, err := env.KubeVision.StartAPIServer(b.Context(), 0, "--trusted-proxies=127.0.0.0/8,::1/128")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Stop() })
	client, err := wire.New(replica.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		b.Fatal(err)
	}
	for i, l := range t.lists {
		// The previous token expires soon.
		l.client, l.request.Bearer = client, t.users[i].Login(b, client, wire.DirectPath).AccessToken
		fixture.Eventually(b, "list Pods", func(ctx context.Context) error {
			_, err := l.list(ctx)
			return err
		})
	}
	time.Sleep(settleTime)
	forgetPeak(b, replica.PID())
	return replica
}

// phase contains the durations of the list requests and the logins of a group of users.
type phase struct {
	lists, logins durations
	// refused is the number of list requests that failed. inTime is the number of logins that succeeded in time.
	refused, inTime int
}

func (p *phase) add(o phase) {
	p.lists, p.logins = append(p.lists, o.lists...), append(p.logins, o.logins...)
	p.refused, p.inTime = p.refused+o.refused, p.inTime+o.inTime
}

// work measures the requests of all users of the team. Each user lists Pods for the time that the flag -flood sets,
// and logs in once.
func (t *team) work(b *testing.B) phase {
	b.Helper()
	time.Sleep(settleTime)
	var (
		all   phase
		mu    sync.Mutex
		group sync.WaitGroup
	)
	begun := time.Now()
	for i := range t.lists { // each user logs in at a different time
		group.Go(func() {
			loginAt := begun.Add(*floodTime * time.Duration(i) / time.Duration(len(t.lists)))
			own := t.workAlone(b.Context(), i, loginAt, begun.Add(*floodTime))
			mu.Lock()
			defer mu.Unlock()
			all.add(own)
		})
	}
	group.Wait()
	return all
}

func (t *team) workAlone(ctx context.Context, i int, loginAt, end time.Time) phase {
	var own phase
	for time.Now().Before(end) || len(own.logins) == 0 {
		if len(own.logins) == 0 && !time.Now().Before(loginAt) {
			took, err := t.logIn(ctx, i)
			own.logins = append(own.logins, took)
			if err == nil && took <= inTime {
				own.inTime++
			}
		}
		if took, err := t.lists[i].list(ctx); err != nil {
			own.refused++
		} else {
			own.lists = append(own.lists, took)
		}
		time.Sleep(thinkTime)
	}
	return own
}

func (t *team) logIn(ctx context.Context, i int) (time.Duration, error) {
	request := fixture.LoginRequest(wire.DirectPath, t.users[i].Name, t.users[i].Password)
	request.Header = http.Header{"X-Forwarded-For": {fixture.RandomAddress()}}
	begun := time.Now()
	err := t.lists[i].client.Answers(ctx, wire.OK, request)
	if err != nil {
		err = fmt.Errorf("logging in: %w", err)
	}
	return time.Since(begun), err
}
