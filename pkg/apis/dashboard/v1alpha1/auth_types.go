// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LoginRequest is the body of POST /auth/login.
type LoginRequest struct {
	// username is the name of the KubeVisionUser.
	Username string `json:"username"`
	// password is the password of the user.
	Password string `json:"password"`
	// provider is the user directory. Only "local" is supported.
	// +optional
	Provider string `json:"provider,omitempty"`
	// deviceToken is the device token that this client received at its last login or refresh. It identifies the client.
	// If it is valid, failed logins of other clients do not delay this login. Clients may send the token in the header
	// X-KubeVision-Device instead.
	// +optional
	DeviceToken string `json:"deviceToken,omitempty"`
}

// RefreshRequest is the body of POST /auth/refresh.
type RefreshRequest struct {
	// refreshToken is the token of the last login or refresh.
	RefreshToken string `json:"refreshToken"`
}

// Login is the data of a successful login or refresh.
type Login struct {
	// accessToken is the credential for the next requests.
	AccessToken string `json:"accessToken"`
	// refreshToken can be exchanged once for new tokens, with POST /auth/refresh.
	RefreshToken string `json:"refreshToken"`
	// expiresIn is the lifetime of the access token in seconds.
	ExpiresIn int64 `json:"expiresIn"`
	// deviceToken is a token that identifies this client at its next login. Clients keep the token after the logout. It
	// does not grant access. Clients may also send it in the header X-KubeVision-Device when they refresh a session or
	// send a code to complete a login.
	// +optional
	DeviceToken string `json:"deviceToken,omitempty"`
	// user is the user who has logged in.
	User User `json:"user"`
	// passwordChangeRequired is true if the session is restricted to a change of the password.
	// +optional
	PasswordChangeRequired bool `json:"passwordChangeRequired,omitempty"`
	// setupRequired is true if the session is restricted to the set-up of a second factor.
	// +optional
	SetupRequired bool `json:"setupRequired,omitempty"`
}

// PasswordChangeRequired is the data of a response with the code 40900, if the session of the request is restricted to
// a change of the password.
type PasswordChangeRequired struct {
	// passwordChangeRequired is always true: the user must change the password before any other request.
	PasswordChangeRequired bool `json:"passwordChangeRequired"`
}

// PasswordRequest is the body of PUT /users/me/password.
type PasswordRequest struct {
	// oldPassword is the current password.
	OldPassword string `json:"oldPassword"`
	// newPassword is the new password. It must have at least 12 characters and must not be easy to guess.
	NewPassword string `json:"newPassword"`
}

// ResetPasswordRequest is the body of PUT /users/{user}/reset-password.
type ResetPasswordRequest struct {
	// newPassword is the new password of the user.
	// +optional
	NewPassword string `json:"newPassword,omitempty"`
	// password is an alias of newPassword.
	// +optional
	Password string `json:"password,omitempty"`
	// mustChangePassword requires the user to choose another password at the next login. Defaults to true.
	// +optional
	MustChangePassword *bool `json:"mustChangePassword,omitempty"`
}

// Revoked contains the number of ended sessions.
type Revoked struct {
	// revoked is the number of ended sessions.
	Revoked int32 `json:"revoked"`
}

// RevokedEnvelope is the response to POST /users/{user}/revoke-sessions.
type RevokedEnvelope struct {
	Header `json:",inline"`
	// data contains the number of ended sessions.
	// +optional
	Data *Revoked `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// LoginEnvelope is the response to a login or a refresh. After a success, it contains a Login. With the code 40102
// (CodeTwoFactorRequired), it contains a TwoFactorChallenge.
type LoginEnvelope struct {
	Header `json:",inline"`
	// data contains the user and the tokens of the new session. In a response with the code 40102, this JSON field
	// contains a TwoFactorChallenge instead of a Login.
	// +optional
	Data *Login `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// VerifyRequest is the body of POST /auth/2fa/verify.
type VerifyRequest struct {
	// sessionToken identifies the login to complete. The server has returned this token in the TwoFactorChallenge of
	// the login.
	// +optional
	SessionToken string `json:"sessionToken,omitempty"`
	// tempToken is an alias of the field sessionToken.
	// +optional
	TempToken string `json:"tempToken,omitempty"`
	// code is the one-time code: six digits.
	Code string `json:"code"`
}

// RecoveryRequest is the body of POST /auth/2fa/recovery.
type RecoveryRequest struct {
	// sessionToken identifies the login to complete. The server has returned this token in the TwoFactorChallenge of
	// the login.
	// +optional
	SessionToken string `json:"sessionToken,omitempty"`
	// tempToken is an alias of the field sessionToken.
	// +optional
	TempToken string `json:"tempToken,omitempty"`
	// recoveryCode is one of the user's recovery codes.
	// +optional
	RecoveryCode string `json:"recoveryCode,omitempty"`
	// code is an alias of recoveryCode.
	// +optional
	Code string `json:"code,omitempty"`
}

// CodeRequest is a body with a one-time code.
type CodeRequest struct {
	// code is the one-time code: six digits.
	Code string `json:"code"`
}

// Reverified confirms that a one-time code was correct. For the time in the field expiresIn, requests of the session
// need no further code.
type Reverified struct {
	// reverified is always true: the one-time code was correct.
	Reverified bool `json:"reverified"`
	// expiresIn is the time, in seconds, for which requests of the session need no one-time code.
	ExpiresIn int64 `json:"expiresIn"`
}

// ReverifiedEnvelope is the response to POST /auth/2fa/reverify.
type ReverifiedEnvelope struct {
	Header `json:",inline"`
	// data contains the time for which requests of the session need no one-time code.
	// +optional
	Data *Reverified `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// SetupRequest is the body of POST /auth/2fa/setup.
type SetupRequest struct {
	// password is required to replace an active second factor.
	// +optional
	Password string `json:"password,omitempty"`
}

// Setup contains a new second factor. The server returns it only once. The second factor becomes active when the user
// sends its first code.
type Setup struct {
	// secret is the secret in base32, for manual input.
	Secret string `json:"secret"`
	// otpauthUrl is the content of the QR code.
	OTPAuthURL string `json:"otpauthUrl"`
	// qrCode is a PNG as a data URI.
	QRCode string `json:"qrCode"`
	// recoveryCodes are one-time codes that replace a lost second factor. They become valid when the second factor is
	// enabled.
	// +listType=atomic
	RecoveryCodes []string `json:"recoveryCodes"`
}

// SetupEnvelope is the response to POST /auth/2fa/setup.
type SetupEnvelope struct {
	Header `json:",inline"`
	// data contains the secret, the QR code and the recovery codes of the new second factor.
	// +optional
	Data *Setup `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// Enabled confirms that the second factor is active.
type Enabled struct {
	// enabled is always true: the second factor is active.
	Enabled bool `json:"enabled"`
}

// EnabledEnvelope is the response to POST /auth/2fa/enable.
type EnabledEnvelope struct {
	Header `json:",inline"`
	// data confirms that the second factor is active.
	// +optional
	Data *Enabled `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// Disabled confirms that the second factor was removed.
type Disabled struct {
	// disabled is always true: the second factor of the user was removed.
	Disabled bool `json:"disabled"`
}

// DisabledEnvelope is the response to POST /auth/2fa/disable.
type DisabledEnvelope struct {
	Header `json:",inline"`
	// data confirms that the second factor was removed.
	// +optional
	Data *Disabled `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// RecoveryCodes contains one-time codes that replace a lost second factor.
type RecoveryCodes struct {
	// recoveryCodes are the new codes. They are returned only once.
	// +listType=atomic
	RecoveryCodes []string `json:"recoveryCodes"`
}

// RecoveryCodesEnvelope is the response to POST /auth/2fa/recovery-codes.
type RecoveryCodesEnvelope struct {
	Header `json:",inline"`
	// data contains the new codes.
	// +optional
	Data *RecoveryCodes `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// TwoFactorChallenge is the data of a response with code 40102. It describes the next step of the login.
type TwoFactorChallenge struct {
	// requires2fa is true if a code is required together with the session token.
	Requires2FA bool `json:"requires2fa"`
	// sessionToken identifies the login in POST /auth/2fa/verify and POST /auth/2fa/recovery. The token is valid for
	// five minutes.
	// +optional
	SessionToken string `json:"sessionToken,omitempty"`
	// tempToken is an alias of the field sessionToken.
	// +optional
	TempToken string `json:"tempToken,omitempty"`
	// setupRequired is true if the user must set up a second factor before any other request.
	// +optional
	SetupRequired bool `json:"setupRequired,omitempty"`
	// accessToken is the credential for the requests that set up a second factor. It is set only if the user must set
	// up a second factor.
	// +optional
	AccessToken string `json:"accessToken,omitempty"`
	// refreshToken can be exchanged once for new tokens, with POST /auth/refresh. It is set only together with the
	// field accessToken.
	// +optional
	RefreshToken string `json:"refreshToken,omitempty"`
	// expiresIn is the lifetime of the access token in seconds. It is set only together with the field accessToken.
	// +optional
	ExpiresIn int64 `json:"expiresIn,omitempty"`
	// reverify is true if the request must be repeated with a one-time code or with the password.
	// +optional
	Reverify bool `json:"reverify,omitempty"`
}
