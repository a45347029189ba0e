// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import "context"

// Credentials are credentials in the URL of a request that opens a stream. Browsers send them in the URL, because they
// cannot set headers on a WebSocket.
type Credentials struct {
	// Ticket is a one-time credential for one stream.
	Ticket string
	// Token is an access token.
	Token string
}

type credentialsKey struct{}

// WithCredentials returns a copy of ctx that contains the credentials.
func WithCredentials(ctx context.Context, c Credentials) context.Context {
	return context.WithValue(ctx, credentialsKey{}, c)
}

// CredentialsFrom returns the credentials in ctx, or the zero value.
func CredentialsFrom(ctx context.Context) Credentials {
	c, _ := ctx.Value(credentialsKey{}).(Credentials)
	return c
}
