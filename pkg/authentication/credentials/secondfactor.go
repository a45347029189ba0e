// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// ChallengeTTL is the time to enter a code after the password.
	ChallengeTTL = 5 * time.Minute
	// ChallengeTries is the number of codes that may be tried for one password.
	ChallengeTries = 5
	// maxChallenges bounds the logins that wait for a code. A new one replaces the oldest.
	maxChallenges = 8
)

// SecondFactor is the second factor of a user, with the state that prevents guessing and the reuse of codes.
type SecondFactor struct {
	// TOTPSecret is the current secret in base32. It is empty without a second factor.
	TOTPSecret string `json:"totpSecret,omitempty"`
	// LastStep is the time step of the last accepted code. Codes of this step, and of earlier ones, are refused.
	LastStep int64 `json:"lastStep,omitempty"`
	// RecoveryCodes are the hashes of the unused recovery codes.
	RecoveryCodes []string `json:"recoveryCodes,omitempty"`
	// Pending is a second factor that was set up but not confirmed with a code.
	Pending *PendingFactor `json:"pending,omitempty"`
	// Challenges are the logins that wait for a code.
	Challenges []Challenge `json:"challenges,omitempty"`
	// Failures counts the wrong codes of logins since the last correct one. A correct password does not reset it.
	Failures int `json:"failures,omitempty"`
	// LastFailure is the time of the last wrong code of a login.
	LastFailure time.Time `json:"lastFailure,omitzero"`
	// InSessions counts the wrong codes of users who are logged in. They do not count against logins.
	InSessions SessionFailures `json:"inSessions,omitzero"`
	// Verified are the sessions that need no fresh code.
	Verified []VerifiedSession `json:"verified,omitempty"`
}

// PendingTTL bounds the time between the set-up of a second factor and its first code.
const PendingTTL = 10 * time.Minute

// PendingFactor is a second factor that waits for its first code, which proves that the user's device has the secret.
type PendingFactor struct {
	// Session is the session that has set up the factor. Only this session can enable it.
	Session       string    `json:"session"`
	Expires       time.Time `json:"expires"`
	TOTPSecret    string    `json:"totpSecret"`
	RecoveryCodes []string  `json:"recoveryCodes"`
}

// Challenge is a login with a correct password that waits for a code.
type Challenge struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries"`
}

// ReadSecondFactor reads the second factor. It returns an empty one if the Secret has none. Its errors do not contain
// the data.
func ReadSecondFactor(s *corev1.Secret) (*SecondFactor, error) {
	f := &SecondFactor{}
	raw, ok := s.Data[SecondFactorKey]
	if !ok {
		return f, nil
	}
	if err := json.Unmarshal(raw, f); err != nil {
		return nil, fmt.Errorf("key %s of secret %s cannot be read", SecondFactorKey, s.Name)
	}
	return f, nil
}

// Write writes the second factor to the Secret.
func (f *SecondFactor) Write(s *corev1.Secret) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return errors.New("the second factor cannot be encoded")
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[SecondFactorKey] = raw
	return nil
}

// Enabled returns true if the user has a confirmed second factor.
func (f *SecondFactor) Enabled() bool { return f.TOTPSecret != "" }

// PendingIn returns the second factor that was set up in a session, or nil if there is none or it has expired.
func (f *SecondFactor) PendingIn(session string, now time.Time) *PendingFactor {
	if f.Pending == nil || f.Pending.Session != session || !now.Before(f.Pending.Expires) {
		return nil
	}
	return f.Pending
}

// AddChallenge adds a challenge that expires after ChallengeTTL. It removes challenges that have expired or have no
// tries left and, if there are maxChallenges others, the oldest ones.
func (f *SecondFactor) AddChallenge(id string, now time.Time) {
	f.dropExpired(now)
	if len(f.Challenges) >= maxChallenges {
		f.Challenges = f.Challenges[len(f.Challenges)-maxChallenges+1:]
	}
	f.Challenges = append(f.Challenges, Challenge{ID: id, Expires: now.Add(ChallengeTTL)})
}

// Challenge returns the challenge with an id, or nil if it does not exist, has expired or has no tries left.
func (f *SecondFactor) Challenge(id string, now time.Time) *Challenge {
	f.dropExpired(now)
	if i := slices.IndexFunc(f.Challenges, func(c Challenge) bool { return c.ID == id }); i >= 0 {
		return &f.Challenges[i]
	}
	return nil
}

// RemoveChallenge removes the challenge with an id, if it exists.
func (f *SecondFactor) RemoveChallenge(id string) {
	f.Challenges = slices.DeleteFunc(f.Challenges, func(c Challenge) bool { return c.ID == id })
}

func (f *SecondFactor) dropExpired(now time.Time) {
	f.Challenges = slices.DeleteFunc(f.Challenges, func(c Challenge) bool {
		return !now.Before(c.Expires) || c.Tries >= ChallengeTries
	})
}
