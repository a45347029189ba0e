// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stepup determines which requests to clusters require step-up authentication: a fresh code of the user's
// second factor. It also verifies that the user has sent one.
package stepup

import (
	"context"
	"errors"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

type proofKey struct{}

// WithProof returns a copy of ctx that contains verify, a function that checks the user's fresh code. All calls of
// Require with the returned context share one call of verify. Therefore, one code is valid for several requests to
// clusters, and a wrong code is counted only once.
func WithProof(ctx context.Context, verify func() error) context.Context {
	return context.WithValue(ctx, proofKey{}, sync.OnceValue(verify))
}

// Require returns nil if the user has sent a valid fresh code, or has no second factor. It returns an error if the code
// is missing or wrong, or if ctx was not created by WithProof.
func Require(ctx context.Context) error {
	verify, ok := ctx.Value(proofKey{}).(func() error)
	if !ok {
		return envelope.Internal(errors.New("a sensitive request without an authenticated caller"))
	}
	return verify()
}
