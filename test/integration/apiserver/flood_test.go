// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// behindProxy is a flag of kubevision-apiserver. With this flag, a test can set the client address of a request in
	// the header X-Forwarded-For.
	behindProxy = "--trusted-proxies=127.0.0.0/8,::1/128"
	// inTime is the maximum duration of a valid login while other clients send many requests.
	inTime = 5 * time.Second
	// floodTries is the maximum number of floods of wrong logins. A test passes if enough valid logins succeed during
	// one flood. The other floods may fail, because other processes can slow down the machine.
	floodTries = 3
)

// randomAddressIn48 returns an address in a random /64 of the network 2001:db8:bad::/48.
func randomAddressIn48() string {
	return fmt.Sprintf("2001:db8:bad:%x::1", rand.IntN(65536)) //nolint:gosec // any address is suitable
}

func flood(t *testing.T, c *wire.Client, clients int, request func() wire.Request) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				response, err := c.Do(ctx, request())
				if err != nil {
					return
				}
				if e, err := response.Parse(); err != nil ||
					(e.Code != wire.Unauthenticated && e.Code != wire.TooManyRequests) {
					t.Errorf("a wrong login: code %d (%s), %v", e.Code, e.Message, err)
				}
			}
		})
	}
	return func() { cancel(); group.Wait() }
}

// floodClients returns the number of clients that send wrong logins at once in a test. The number is smaller on a slow
// machine, so that a valid login can succeed in time.
func floodClients(t *testing.T, c *wire.Client, u fixture.User) int {
	t.Helper()
	const most, logins = 60, 5
	begun := time.Now()
	for range logins {
		c.Call(t, right(u)).Want(t, wire.OK)
	}
	one := time.Since(begun) / logins
	// The server can verify one login of each client in a quarter of inTime. The rest is a reserve, because other
	// processes can slow down the machine.
	n := min(most, max(1, int(inTime/4/one)))
	t.Logf("a login takes %s: %d clients", one.Round(time.Millisecond), n)
	return n
}

// everyFlood makes TestStrangersDoNotCloseTheLogin run all test cases. By default, the test runs only two, because each
// test case keeps the machine busy.
var everyFlood = flag.Bool("every-flood", false, "run all test cases of TestStrangersDoNotCloseTheLogin")

// TestStrangersDoNotCloseTheLogin verifies that valid logins succeed in time while other clients send many wrong
// logins:
//   - At least nine of ten logins from unknown addresses succeed.
//   - All logins from known devices, known addresses and trusted networks succeed.
func TestStrangersDoNotCloseTheLogin(t *testing.T) {
	const people = 10
	forgiveAfterwards(t)
	c := at(t, replicaWith(t, behindProxy, "--trusted-login-networks=198.51.100.0/24").Endpoint())
	users := make([]fixture.User, people)
	devices, addresses := make([]string, people), make([]string, people)
	for i := range users {
		users[i] = set().User(t, "person")
		addresses[i] = fixture.RandomAddress()
		becomes(t, c, wire.OK, from(addresses[i], right(users[i])))
		devices[i] = deviceOf(t, c.Call(t, from("192.0.2.77", right(users[i]))))
	}
	for name, tc := range map[string]struct {
		attack, login func(i int) wire.Request
		least         int
		always        bool
	}{
		"strangers, changing addresses": {
			func(int) wire.Request { return from(fixture.RandomAddress(), wrong(fixture.Name("x"))) },
			func(i int) wire.Request { return from(fixture.RandomAddress(), right(users[i])) }, people * 9 / 10, true,
		},
		"strangers, one /48": {
			func(int) wire.Request { return from(randomAddressIn48(), wrong(fixture.Name("x"))) },
			func(i int) wire.Request { return from(fixture.RandomAddress(), right(users[i])) }, people * 9 / 10, false,
		},
		"known devices": {
			func(i int) wire.Request { return from(fixture.RandomAddress(), wrong(users[i%people].Name)) },
			func(i int) wire.Request {
				return from(fixture.RandomAddress(), withDevice(t, users[i], users[i].Password, devices[i]))
			}, people, true,
		},
		"known addresses": {
			func(int) wire.Request { return from(fixture.RandomAddress(), wrong(fixture.Name("x"))) },
			func(i int) wire.Request { return from(addresses[i], right(users[i])) }, people, false,
		},
		"trusted network": {
			func(int) wire.Request { return from(fixture.RandomAddress(), wrong(fixture.Name("x"))) },
			func(i int) wire.Request { return from(fmt.Sprintf("198.51.100.%d", i), right(users[i])) }, people, false,
		},
	} {
		if !tc.always && !*everyFlood {
			continue
		}
		t.Run(name, func(t *testing.T) {
			attack := func() wire.Request { return tc.attack(rand.IntN(people)) } //nolint:gosec // a test
			good := 0
			for try := 0; good < tc.least && try < floodTries; try++ {
				set().Forgive(t)
				good = max(good, loginsDuringFlood(t, c, floodClients(t, c, users[0]), attack, tc.login, people))
			}
			if good < tc.least {
				t.Errorf("%d of %d valid logins succeeded in %s, want %d", good, people, inTime, tc.least)
			}
		})
	}
}

func loginsDuringFlood(
	t *testing.T, c *wire.Client, clients int, attack func() wire.Request, login func(i int) wire.Request, logins int,
) (good int) {
	t.Helper()
	stop := flood(t, c, clients, attack)
	defer stop()
	time.Sleep(4 * time.Second)
	return loginsInTime(t, c, login, logins)
}

// loginsInTime sends logins one after the other. It returns the number of successful logins that each took at most
// the duration inTime.
func loginsInTime(t *testing.T, c *wire.Client, login func(i int) wire.Request, logins int) (good int) {
	t.Helper()
	var longest time.Duration
	for i := range logins {
		begun := time.Now()
		e := c.Call(t, login(i))
		took := time.Since(begun)
		longest = max(longest, took)
		if e.Code == wire.OK && took <= inTime {
			good++
		} else {
			t.Logf("login %d: code %d (%s) after %s", i, e.Code, e.Message, took.Round(time.Millisecond))
		}
	}
	t.Logf("%d of %d, the longest took %s", good, logins, longest.Round(time.Millisecond))
	return good
}

// TestNetworksOfIPv6 verifies that failed logins are limited for each IPv6 /64, /56 and /48. Otherwise, an attacker
// with a whole network could use a new address for each login.
func TestNetworksOfIPv6(t *testing.T) {
	forgiveAfterwards(t)
	u := set().User(t, "customer")
	c := at(t, replicaWith(t, behindProxy, "--login-failures-per-address=2").Endpoint())
	becomes(t, c, wire.OK, from("2001:db8:aaaa::1", right(u)))
	for site := range 4 {
		for client := range 4 {
			address := fmt.Sprintf("2001:db8:bbbb:%x%02x::1", site, client)
			for range 2 {
				c.Call(t, from(address, wrong(fixture.Name("x")))).Want(t, wire.Unauthenticated)
			}
			soon(t, c, wire.TooManyRequests, from(address, right(u)))
		}
		soon(t, c, wire.TooManyRequests, from(fmt.Sprintf("2001:db8:bbbb:%xff::1", site), right(u)))
	}
	soon(t, c, wire.TooManyRequests, from("2001:db8:bbbb:ffff::1", right(u)))
	c.Call(t, from("2001:db8:bbbc::1", right(u))).Want(t, wire.OK)
}
