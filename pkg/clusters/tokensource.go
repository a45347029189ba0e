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

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// tokenLifetime is the requested lifetime of a token.
	tokenLifetime = time.Hour
	// renewBefore is the remaining lifetime at which a token is renewed, so that it does not expire during a request.
	renewBefore = time.Minute
	// tokenTimeout bounds the duration of a TokenRequest.
	tokenTimeout = 10 * time.Second
	// maxTokenBytes bounds the length of a token in bytes, because each request carries a token. It is several times
	// the length of the tokens of API servers.
	maxTokenBytes = 8 << 10
)

// tokenPattern matches bearer tokens in the format of RFC 6750.
var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// tokenSource requests tokens from the TokenRequest API of a cluster, for one ServiceAccount of KubeVision.
type tokenSource struct {
	accounts corev1client.ServiceAccountsGetter
	// account is the name of the ServiceAccount.
	account string
}

// newTokenSource returns a source of tokens for the ServiceAccount names.Impersonator.
func newTokenSource(accounts corev1client.ServiceAccountsGetter) *tokenSource {
	return &tokenSource{accounts: accounts, account: names.Impersonator}
}

// Token requests a new token. If the cluster responds with an error, it returns a tokenError.
func (s *tokenSource) Token() (*oauth2.Token, error) {
	token, err := s.token(context.Background())
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		// If the Status were wrapped, callers would take the Status for the response to the request of a user.
		return nil, &tokenError{text: err.Error()}
	}
	return token, err
}

// tokenError is the error for a TokenRequest that a cluster has rejected. It contains only the text of the response.
type tokenError struct{ text string }

func (e *tokenError) Error() string { return e.text }

// isServerResponse returns true if err wraps a tokenError. Such an error proves that the cluster has responded to a
// TokenRequest.
func isServerResponse(err error) bool {
	_, ok := errors.AsType[*tokenError](err)
	return ok
}

func (s *tokenSource) token(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request := &authenticationv1.TokenRequest{}
	request.Spec.ExpirationSeconds = new(int64(tokenLifetime.Seconds()))
	accounts := s.accounts.ServiceAccounts(names.Namespace)
	granted, err := accounts.CreateToken(ctx, s.account, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token of %s/%s: %w", names.Namespace, s.account, response.Error(ctx, err))
	}
	token, expires := granted.Status.Token, granted.Status.ExpirationTimestamp
	if len(token) > maxTokenBytes || !tokenPattern.MatchString(token) || expires.IsZero() {
		return nil, fmt.Errorf("requesting a token of %s/%s: %w", names.Namespace, s.account, ErrNoAPIServer)
	}
	return &oauth2.Token{AccessToken: token, TokenType: "Bearer", Expiry: expires.Add(-renewBefore)}, nil
}
