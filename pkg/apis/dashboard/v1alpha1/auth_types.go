// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LoginRequest is the body of POST /auth/login.
type LoginRequest struct {
	// username is the name of the KubeVisionUser.
	Username string `json:"username"`
	// password of the user.
	Password string `json:"password"`
	// provider is the directory that knows the user. Only "local" is served.
	// +optional
	Provider string `json:"provider,omitempty"`
}

// RefreshRequest is the body of POST /auth/refresh.
type RefreshRequest struct {
	// refreshToken is the one that the last login or refresh gave.
	RefreshToken string `json:"refreshToken"`
}

// Login is the data of a login or a refresh that succeeded.
type Login struct {
	// accessToken is the credential for the next requests.
	AccessToken string `json:"accessToken"`
	// refreshToken fetches the next access token, once.
	RefreshToken string `json:"refreshToken"`
	// expiresIn is the lifetime of the access token in seconds.
	ExpiresIn int64 `json:"expiresIn"`
	// user is who has logged in.
	User User `json:"user"`
}

// LoginEnvelope is the answer to a login or a refresh. With code 40102, data is a
// TwoFactorChallenge.
type LoginEnvelope struct {
	Header `json:",inline"`
	// data is the login; null where it failed.
	// +optional
	Data *Login `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// TwoFactorChallenge is the data of a login that needs a second factor.
type TwoFactorChallenge struct {
	// requires2fa is true.
	Requires2FA bool `json:"requires2fa"`
	// setupRequired is true when the user must have a second factor and has not
	// set one up.
	// +optional
	SetupRequired bool `json:"setupRequired,omitempty"`
}
