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
	// ChallengeTTL is the time after a correct password during which the user can enter a code.
	ChallengeTTL = 5 * time.Minute
	// ChallengeTries is the number of codes that may be tried after one correct password.
	ChallengeTries = 5
	// maxChallenges bounds the number of logins of one user that wait for a code. A new login replaces the oldest of
	// these logins.
	maxChallenges = 8
)

// SecondFactor is the second factor of a user, together with the counters of wrong codes.
type SecondFactor struct {
	// TOTPSecret is the shared secret in base32. It is empty if the user has no second factor.
	TOTPSecret string `json:"totpSecret,omitempty"`
	// LastStep is the time step of the last accepted code. Codes of this and earlier steps are rejected.
	LastStep int64 `json:"lastStep,omitempty"`
	// RecoveryCodes contains the hashes of the unused recovery codes.
	RecoveryCodes []string `json:"recoveryCodes,omitempty"`
	// Pending is a second factor that was created but not yet confirmed with a code, or nil.
	Pending *PendingFactor `json:"pending,omitempty"`
	// Challenges contains the logins that wait for a code.
	Challenges []Challenge `json:"challenges,omitempty"`
	// Failures is the number of wrong codes in logins since the last correct code. A correct password does not reset
	// this number.
	Failures int `json:"failures,omitempty"`
	// LastFailure is the time of the last wrong code in a login.
	LastFailure time.Time `json:"lastFailure,omitzero"`
	// InSessions counts the wrong codes that the user enters in sessions, for example to confirm sensitive operations.
	// The wrong codes in logins are counted separately, in SecondFactor.Failures.
	InSessions SessionFailures `json:"inSessions,omitzero"`
	// Verified contains the sessions in which sensitive operations need no code for some time.
	Verified []VerifiedSession `json:"verified,omitempty"`
}

// PendingTTL is the time after which a pending second factor can no longer be confirmed.
const PendingTTL = 10 * time.Minute

// PendingFactor is a second factor that was not yet confirmed with a code.
type PendingFactor struct {
	// Session is the name of the session that has created the second factor. Only this session can confirm the second
	// factor.
	Session       string    `json:"session"`
	Expires       time.Time `json:"expires"`
	TOTPSecret    string    `json:"totpSecret"`
	RecoveryCodes []string  `json:"recoveryCodes"`
}

// Challenge is a login that waits for a code after a correct password.
type Challenge struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries"`
}

// ReadSecondFactor returns the second factor in the Secret, or an empty SecondFactor if there is none. Its error
// contains no data of the Secret.
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

// Write stores the second factor in the Secret.
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

// PendingIn returns the pending second factor that the session has created. It returns nil if there is none, or if it
// has expired.
func (f *SecondFactor) PendingIn(session string, now time.Time) *PendingFactor {
	if f.Pending == nil || f.Pending.Session != session || !now.Before(f.Pending.Expires) {
		return nil
	}
	return f.Pending
}

// AddChallenge adds a challenge with the ID. It removes challenges that have expired or have no tries left. If
// maxChallenges challenges remain, it also removes the oldest one.
func (f *SecondFactor) AddChallenge(id string, now time.Time) {
	f.dropExpired(now)
	if len(f.Challenges) >= maxChallenges {
		f.Challenges = f.Challenges[len(f.Challenges)-maxChallenges+1:]
	}
	f.Challenges = append(f.Challenges, Challenge{ID: id, Expires: now.Add(ChallengeTTL)})
}

// Challenge returns the challenge with the ID. It returns nil if there is none, if it has expired, or if it has no
// tries left.
func (f *SecondFactor) Challenge(id string, now time.Time) *Challenge {
	f.dropExpired(now)
	if i := slices.IndexFunc(f.Challenges, func(c Challenge) bool { return c.ID == id }); i >= 0 {
		return &f.Challenges[i]
	}
	return nil
}

// RemoveChallenge removes the challenge with the ID.
func (f *SecondFactor) RemoveChallenge(id string) {
	f.Challenges = slices.DeleteFunc(f.Challenges, func(c Challenge) bool { return c.ID == id })
}

func (f *SecondFactor) dropExpired(now time.Time) {
	f.Challenges = slices.DeleteFunc(f.Challenges, func(c Challenge) bool {
		return !now.Before(c.Expires) || c.Tries >= ChallengeTries
	})
}
