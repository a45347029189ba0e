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
	// deviceToken is that of the last login from this client, which tells it
	// from strangers where many of them try to log in. The header
	// X-KubeVision-Device is another place for it, here and in all calls that
	// answer with one.
	// +optional
	DeviceToken string `json:"deviceToken,omitempty"`
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
	// deviceToken is to be kept after the logout too, and sent with the next
	// login. It lets nobody in.
	// +optional
	DeviceToken string `json:"deviceToken,omitempty"`
	// user is who has logged in.
	User User `json:"user"`
	// passwordChangeRequired is true when the session is good for nothing but
	// choosing another password.
	// +optional
	PasswordChangeRequired bool `json:"passwordChangeRequired,omitempty"`
	// setupRequired is true when the session is good for nothing but setting up
	// a second factor.
	// +optional
	SetupRequired bool `json:"setupRequired,omitempty"`
}

// PasswordChangeRequired is the data of code 40900 in a session that is good
// for nothing but choosing another password.
type PasswordChangeRequired struct {
	// passwordChangeRequired is true.
	PasswordChangeRequired bool `json:"passwordChangeRequired"`
}

// PasswordRequest is the body of PUT /users/me/password.
type PasswordRequest struct {
	// oldPassword is the one in force.
	OldPassword string `json:"oldPassword"`
	// newPassword is the one to come: 12 characters or more, and not easily
	// guessed.
	NewPassword string `json:"newPassword"`
}

// ResetPasswordRequest is the body of PUT /users/{user}/reset-password.
type ResetPasswordRequest struct {
	// newPassword is what the user logs in with next.
	// +optional
	NewPassword string `json:"newPassword,omitempty"`
	// password is another name of newPassword.
	// +optional
	Password string `json:"password,omitempty"`
	// mustChangePassword asks the user to choose another one at the next
	// login. Defaults to true.
	// +optional
	MustChangePassword *bool `json:"mustChangePassword,omitempty"`
}

// Revoked says how many sessions have ended.
type Revoked struct {
	// revoked is the number of sessions.
	Revoked int32 `json:"revoked"`
}

// RevokedEnvelope is the answer to POST /users/{user}/revoke-sessions.
type RevokedEnvelope struct {
	Header `json:",inline"`
	// data says how many sessions have ended.
	// +optional
	Data *Revoked `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
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

// VerifyRequest is the body of POST /auth/2fa/verify.
type VerifyRequest struct {
	// sessionToken is that of the login.
	// +optional
	SessionToken string `json:"sessionToken,omitempty"`
	// tempToken is another name of sessionToken.
	// +optional
	TempToken string `json:"tempToken,omitempty"`
	// code is the one-time code: six digits.
	Code string `json:"code"`
}

// RecoveryRequest is the body of POST /auth/2fa/recovery.
type RecoveryRequest struct {
	// sessionToken is that of the login.
	// +optional
	SessionToken string `json:"sessionToken,omitempty"`
	// tempToken is another name of sessionToken.
	// +optional
	TempToken string `json:"tempToken,omitempty"`
	// recoveryCode is one of the user's recovery codes.
	// +optional
	RecoveryCode string `json:"recoveryCode,omitempty"`
	// code is another name of recoveryCode.
	// +optional
	Code string `json:"code,omitempty"`
}

// CodeRequest is a body that holds a one-time code.
type CodeRequest struct {
	// code is the one-time code: six digits.
	Code string `json:"code"`
}

// Reverified says how long no fresh code is asked for in the session.
type Reverified struct {
	// reverified is true.
	Reverified bool `json:"reverified"`
	// expiresIn is the time in seconds.
	ExpiresIn int64 `json:"expiresIn"`
}

// ReverifiedEnvelope is the answer to POST /auth/2fa/reverify.
type ReverifiedEnvelope struct {
	Header `json:",inline"`
	// data says how long no fresh code is asked for in the session.
	// +optional
	Data *Reverified `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// SetupRequest is the body of POST /auth/2fa/setup.
type SetupRequest struct {
	// password is needed to replace a second factor that is in force.
	// +optional
	Password string `json:"password,omitempty"`
}

// Setup is a second factor that waits for its first code. It is shown once.
type Setup struct {
	// secret in base32, for typing.
	Secret string `json:"secret"`
	// otpauthUrl is what the QR code holds.
	OTPAuthURL string `json:"otpauthUrl"`
	// qrCode is a PNG as a data URI.
	QRCode string `json:"qrCode"`
	// recoveryCodes are valid as soon as the second factor is.
	// +listType=atomic
	RecoveryCodes []string `json:"recoveryCodes"`
}

// SetupEnvelope is the answer to POST /auth/2fa/setup.
type SetupEnvelope struct {
	Header `json:",inline"`
	// data is the second factor.
	// +optional
	Data *Setup `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// Enabled says that the second factor is in force.
type Enabled struct {
	// enabled is true.
	Enabled bool `json:"enabled"`
}

// EnabledEnvelope is the answer to POST /auth/2fa/enable.
type EnabledEnvelope struct {
	Header `json:",inline"`
	// data says that the second factor is in force.
	// +optional
	Data *Enabled `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// Disabled says that there is no second factor any more.
type Disabled struct {
	// disabled is true.
	Disabled bool `json:"disabled"`
}

// DisabledEnvelope is the answer to POST /auth/2fa/disable.
type DisabledEnvelope struct {
	Header `json:",inline"`
	// data says that there is no second factor any more.
	// +optional
	Data *Disabled `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// RecoveryCodes are codes that stand in for a lost second factor, each once.
type RecoveryCodes struct {
	// recoveryCodes are shown once.
	// +listType=atomic
	RecoveryCodes []string `json:"recoveryCodes"`
}

// RecoveryCodesEnvelope is the answer to POST /auth/2fa/recovery-codes.
type RecoveryCodesEnvelope struct {
	Header `json:",inline"`
	// data are the new codes.
	// +optional
	Data *RecoveryCodes `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// TwoFactorChallenge is the data of code 40102: what is due.
type TwoFactorChallenge struct {
	// requires2fa is true when a code is due, together with the session token.
	Requires2FA bool `json:"requires2fa"`
	// sessionToken is sent with the code, within five minutes. Beside
	// setupRequired, it gets the session for the set-up with any code.
	// +optional
	SessionToken string `json:"sessionToken,omitempty"`
	// tempToken is another name of sessionToken.
	// +optional
	TempToken string `json:"tempToken,omitempty"`
	// setupRequired is true when the user must have a second factor and has
	// not set one up. The tokens are good for nothing else.
	// +optional
	SetupRequired bool `json:"setupRequired,omitempty"`
	// accessToken is the credential for the set-up.
	// +optional
	AccessToken string `json:"accessToken,omitempty"`
	// refreshToken fetches the next access token, once.
	// +optional
	RefreshToken string `json:"refreshToken,omitempty"`
	// expiresIn is the lifetime of the access token in seconds.
	// +optional
	ExpiresIn int64 `json:"expiresIn,omitempty"`
	// reverify is true when the caller must prove once more who they are.
	// +optional
	Reverify bool `json:"reverify,omitempty"`
}
