// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/kubevision-io/kubevision/pkg/clusters/answer"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// tokenLifetime is asked for; a new token is fetched this much before it is over, so that none ends under way.
	tokenLifetime = time.Hour
	renewBefore   = time.Minute
	// tokenTimeout bounds the request for a token.
	tokenTimeout = 10 * time.Second
	// maxTokenBytes is several times what an API server issues. The token goes with every request.
	maxTokenBytes = 8 << 10
)

// tokenPattern is a bearer token (RFC 6750).
var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// tokenSource gets short-lived tokens of the ServiceAccount that may do nothing but impersonate.
type tokenSource struct {
	accounts corev1client.ServiceAccountsGetter
}

func newTokenSource(accounts corev1client.ServiceAccountsGetter) *tokenSource {
	return &tokenSource{accounts: accounts}
}

// Token asks the cluster for a new token.
func (s *tokenSource) Token() (*oauth2.Token, error) {
	token, err := s.token(context.Background())
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return nil, &noTokenError{text: err.Error()}
	}
	return token, err
}

// noTokenError hides an answer to us, which nobody may take for one to the request of a user.
type noTokenError struct{ text string }

func (e *noTokenError) Error() string { return e.text }

// isAnswer says whether an error is what the cluster has answered when it was asked for a token.
func isAnswer(err error) bool {
	_, ok := errors.AsType[*noTokenError](err)
	return ok
}

func (s *tokenSource) token(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request := &authenticationv1.TokenRequest{}
	request.Spec.ExpirationSeconds = new(int64(tokenLifetime.Seconds()))
	accounts := s.accounts.ServiceAccounts(names.Namespace)
	granted, err := accounts.CreateToken(ctx, names.Impersonator, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token of %s/%s: %w", names.Namespace, names.Impersonator, answer.Error(ctx, err))
	}
	token, expires := granted.Status.Token, granted.Status.ExpirationTimestamp
	if len(token) > maxTokenBytes || !tokenPattern.MatchString(token) || expires.IsZero() {
		return nil, fmt.Errorf("requesting a token of %s/%s: %w", names.Namespace, names.Impersonator, ErrNoAPIServer)
	}
	return &oauth2.Token{AccessToken: token, TokenType: "Bearer", Expiry: expires.Add(-renewBefore)}, nil
}
