// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"slices"
	"time"

	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

const (
	// MaxSessionFailures is the number of wrong codes that end a session.
	MaxSessionFailures = 10

	// freeInSession and freeInAll are the numbers of wrong codes that cause no delay, in one session and in all
	// sessions of a user. Three stolen sessions can use up their share before the user is delayed.
	freeInSession = 5
	freeInAll     = 3 * MaxSessionFailures
	// forgiveCode is the time after which one wrong code is forgiven. A correct code forgives none, because otherwise
	// the holder of a stolen access token could continue to guess whenever the user enters a correct code.
	forgiveCode = time.Hour
	// maxSessions bounds the sessions whose failures are counted separately. A new one replaces the session with the
	// oldest failure, whose failures remain in the sum.
	maxSessions = 32
)

// SessionFailures counts the wrong codes in sessions, for each session and for all sessions of a user, so that an
// attacker cannot try all codes with stolen access tokens.
type SessionFailures struct {
	// Sum counts the failures of all sessions.
	Sum Failures `json:"sum"`
	// Sessions are the failures of each session.
	Sessions []NamedFailures `json:"sessions,omitempty"`
}

// Failures is a number of wrong codes and the time of the last one.
type Failures struct {
	Number int       `json:"number"`
	Last   time.Time `json:"last"`
}

// NamedFailures are the failures of the session with the name.
type NamedFailures struct {
	Failures

	Name string `json:"name"`
}

func sessionPolicy() throttle.Policy {
	return throttle.Policy{Free: freeInSession, Forgive: forgiveCode}
}
func sumPolicy() throttle.Policy { return throttle.Policy{Free: freeInAll, Forgive: forgiveCode} }

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

// Wait returns the time for which codes of the session are rejected without a check.
func (s *SessionFailures) Wait(session string, now time.Time) time.Duration {
	return max(sessionPolicy().Wait(s.forSession(session).counter(), now), sumPolicy().Wait(s.Sum.counter(), now))
}

// Exhausted returns true if the session has sent too many wrong codes to continue.
func (s *SessionFailures) Exhausted(session string, now time.Time) bool {
	return sessionPolicy().At(s.forSession(session).counter(), now).Failures >= MaxSessionFailures
}

// Add counts a wrong code, for the session and for all sessions of the user.
func (s *SessionFailures) Add(session string, now time.Time) {
	counted := NamedFailures{Name: session, Failures: s.forSession(session).add(sessionPolicy(), now)}
	s.Sum = s.Sum.add(sumPolicy(), now)
	s.Sessions = slices.DeleteFunc(s.Sessions, func(n NamedFailures) bool {
		return n.Name == session || sessionPolicy().At(n.counter(), now).Failures == 0
	})
	if len(s.Sessions) >= maxSessions {
		slices.SortFunc(s.Sessions, func(a, b NamedFailures) int { return a.Last.Compare(b.Last) })
		s.Sessions = s.Sessions[len(s.Sessions)-maxSessions+1:]
	}
	s.Sessions = append(s.Sessions, counted)
}
