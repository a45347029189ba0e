// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"

	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
)

// ErrFreshCodeRequired means that somebody with a second factor must give one of its codes with this very request.
var ErrFreshCodeRequired = errors.New("a fresh code is needed")

// Fresh accepts a code for one sensitive operation, once. Users without a second factor need none. It is ErrFreshCodeRequired without a code,
// and a CodeError for a wrong one.
func (l *Logins) Fresh(ctx context.Context, p *Principal, code string, from Client) error {
	needed := false
	err := l.changeSecondFactor(ctx, p, func(f *credentials.SecondFactor) (bool, error) {
		switch needed = f.Enabled(); {
		case !needed:
			return false, nil
		case code == "":
			return false, ErrFreshCodeRequired
		default:
			return true, l.checkTOTP(f, code)
		}
	})
	if err != nil {
		l.codeRefused(ctx, p.User, from, err)
		return err
	}
	if needed {
		l.Audit.Record(ctx, p.event(audit.SecondFactorVerified, from))
	}
	return nil
}
