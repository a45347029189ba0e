// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"slices"
	"time"

	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

const (
	// MaxSessionFailures is the number of wrong codes after which a session is ended.
	MaxSessionFailures = 10

	// freePerSession is the number of wrong codes that a session may send before further codes of the session are
	// delayed.
	freePerSession = 5
	// freePerUser is the number of wrong codes that all sessions of a user together may send before further codes of
	// the user are delayed. One stolen session is not enough to reach this number, because a session ends after
	// MaxSessionFailures wrong codes.
	freePerUser = 3 * MaxSessionFailures
	// forgiveCode is the interval at which the number of wrong codes decreases by one. Each wrong code restarts the
	// interval. A correct code does not reset the number. Otherwise, an attacker with a stolen access token could guess
	// more codes after each correct code of the user.
	forgiveCode        = time.Hour
	maxSessionCounters = 32
)

// SessionFailures counts the wrong codes that were entered in sessions of a user, for each session and in total. It
// limits how many codes an attacker can try with stolen access tokens.
type SessionFailures struct {
	// Sum counts the wrong codes in all sessions of the user together.
	Sum Failures `json:"sum"`
	// Sessions counts the wrong codes in each session separately.
	Sessions []NamedFailures `json:"sessions,omitempty"`
}

// Failures contains the number of wrong codes and the time of the last one.
type Failures struct {
	Number int       `json:"number"`
	Last   time.Time `json:"last"`
}

// NamedFailures contains the name of a session and the number of wrong codes in this session.
type NamedFailures struct {
	Failures

	// Name is the name of the session.
	Name string `json:"name"`
}

func sessionPolicy() throttle.Policy {
	return throttle.Policy{Free: freePerSession, Forgive: forgiveCode}
}
func sumPolicy() throttle.Policy { return throttle.Policy{Free: freePerUser, Forgive: forgiveCode} }

func (f Failures) counter() throttle.Counter {
	return throttle.Counter{Failures: f.Number, Last: f.Last}
}

func (f Failures) add(p throttle.Policy, now time.Time) Failures {
	counter := p.Add(f.counter(), now)
	return Failures{Number: counter.Failures, Last: counter.Last}
}

func (s *SessionFailures) forSession(session string) Failures {
	if i := slices.IndexFunc(s.Sessions, func(n NamedFailures) bool { return n.Name == session }); i >= 0 {
		return s.Sessions[i].Failures
	}
	return Failures{}
}

// Wait returns the time for which the session must wait before the next code of the second factor. It returns 0 if the
// next code is allowed now.
func (s *SessionFailures) Wait(session string, now time.Time) time.Duration {
	return max(sessionPolicy().Wait(s.forSession(session).counter(), now), sumPolicy().Wait(s.Sum.counter(), now))
}

// Exhausted returns true if the session must be ended because of wrong codes.
func (s *SessionFailures) Exhausted(session string, now time.Time) bool {
	return sessionPolicy().At(s.forSession(session).counter(), now).Failures >= MaxSessionFailures
}

// Add counts a wrong code in the session.
func (s *SessionFailures) Add(session string, now time.Time) {
	counted := NamedFailures{Name: session, Failures: s.forSession(session).add(sessionPolicy(), now)}
	s.Sum = s.Sum.add(sumPolicy(), now)
	s.Sessions = slices.DeleteFunc(s.Sessions, func(n NamedFailures) bool {
		return n.Name == session || sessionPolicy().At(n.counter(), now).Failures == 0
	})
	if len(s.Sessions) >= maxSessionCounters {
		// Drop the session whose last wrong code is the oldest. Its wrong codes still count in s.Sum.
		slices.SortFunc(s.Sessions, func(a, b NamedFailures) int { return a.Last.Compare(b.Last) })
		s.Sessions = s.Sessions[len(s.Sessions)-maxSessionCounters+1:]
	}
	s.Sessions = append(s.Sessions, counted)
}
