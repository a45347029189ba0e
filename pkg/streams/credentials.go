// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import "context"

// Credentials are the credentials in the URL of a request. Browsers cannot set headers on a WebSocket.
type Credentials struct {
	// Ticket is a ticket, which is valid for one stream.
	Ticket string
	// Token is an access token.
	Token string
}

type credentialsKey struct{}

// WithCredentials returns a context with credentials.
func WithCredentials(ctx context.Context, c Credentials) context.Context {
	return context.WithValue(ctx, credentialsKey{}, c)
}

// CredentialsFrom returns the credentials of a context.
func CredentialsFrom(ctx context.Context) Credentials {
	c, _ := ctx.Value(credentialsKey{}).(Credentials)
	return c
}
