// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stepup determines which requests to a cluster's API server require a fresh code of the caller's second factor
// (step-up authentication), and verifies the code.
package stepup

import (
	"context"
	"errors"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

type proofKey struct{}

// WithProof returns a context in which Require calls ask. All calls of Require share one call of ask and its result, so
// that one code is valid for all calls of an inbound request, and a wrong code is counted once.
func WithProof(ctx context.Context, ask func() error) context.Context {
	return context.WithValue(ctx, proofKey{}, sync.OnceValue(ask))
}

// Require returns nil if the caller has sent a fresh code, or has no second factor. It returns an error for a context
// without a proof.
func Require(ctx context.Context) error {
	ask, ok := ctx.Value(proofKey{}).(func() error)
	if !ok {
		return envelope.Internal(errors.New("a sensitive request without an authenticated caller"))
	}
	return ask()
}
