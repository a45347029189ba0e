// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// readerRetry is the time between two requests for a token of an account that is not there.
const readerRetry = 5 * time.Second

// ErrNoReader is returned for a cluster without the account of the read cache, which is read live.
var ErrNoReader = errors.New("the cluster has no account " + names.Reader)

// Reader is access to a cluster as the ServiceAccount kubevision-reader. It can list and watch what that account may
// list and watch, except Secrets, and nothing else. What it reads must be shown to no user without a verdict of the
// cluster about that user.
type Reader struct {
	// Config has the address of the cluster, and no credential.
	Config *rest.Config
	// Client sends requests as the account. Its responses are sanitized as those to users are. A request that is no
	// watch ends after 30 s and 256 MiB. A watch ends with the connection, and whoever reads it bounds its events.
	Client *http.Client
}

// Reader returns the access of the read cache. It returns ErrNoReader if the registration disables the cache or the
// cluster has no such account, and ErrNotConnected if the cluster does not answer. It asks the cluster only for the
// first token.
func (c *Connection) Reader(ctx context.Context) (*Reader, error) {
	if c.reader == nil || c.reader.disabled.Load() {
		return nil, fmt.Errorf("%w: spec.readCache is %s", ErrNoReader, kubevisionv1alpha1.ReadCacheDisabled)
	}
	if err := c.reader.await(ctx); err != nil {
		return nil, err
	}
	return &c.reader.access, nil
}

// with records whether the registration, as it is now, lets the cluster be cached.
func (c *Connection) with(mode kubevisionv1alpha1.ReadCacheMode) *Connection {
	if disabled := mode == kubevisionv1alpha1.ReadCacheDisabled; c.reader != nil && c.reader.disabled.Load() != disabled {
		c.reader.disabled.Store(disabled)
	}
	return c
}

// readerAccount is the account of the read cache on one cluster.
type readerAccount struct {
	disabled atomic.Bool
	access   Reader
	tokens   oauth2.TokenSource
}

// newReaderAccount returns the account behind a transport without a credential. Its requests have places and a circuit
// breaker of their own, so that they take none from users.
func newReaderAccount(
	config *rest.Config, anonymous http.RoundTripper, accounts corev1client.ServiceAccountsGetter,
) *readerAccount {
	tokens := transport.NewCachedTokenSource(&patientSource{
		next: &tokenSource{accounts: accounts, account: names.Reader}, now: time.Now,
	})
	authenticated := transport.ResettableTokenSourceWrapTransport(tokens)(anonymous)
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.Timeout = 0 // watches have none, and the transport bounds all other requests
	return &readerAccount{tokens: tokens, access: Reader{
		Config: config,
		Client: &http.Client{Transport: &readOnly{next: guarded(authenticated)}, CheckRedirect: refuseRedirect},
	}}
}

// await returns an error if there is no token of the account.
func (a *readerAccount) await(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		_, err := a.tokens.Token()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a token of %s: %w", names.Reader, ctx.Err())
	}
}

// patientSource does not ask again at once for a token that it did not get.
type patientSource struct {
	next *tokenSource
	now  func() time.Time

	mu    sync.Mutex
	err   error
	after time.Time
}

// Token returns ErrNoReader if the cluster answers that there is no such account or that nobody may have its tokens.
func (s *patientSource) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && s.now().Before(s.after) {
		return nil, s.err
	}
	token, err := s.next.token(context.Background())
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		err = fmt.Errorf("%w: %s", ErrNoReader, err.Error()) // the text only: it is no answer to the request of a user
	case err != nil:
		err = fmt.Errorf("%w: %s", ErrNotConnected, err.Error())
	}
	s.err, s.after = err, s.now().Add(readerRetry)
	return token, err
}

// readOnly refuses all but reads of whole objects that are no Secrets, whatever the account may do.
type readOnly struct {
	next http.RoundTripper
}

// RoundTrip sends a list, a watch or a get of a resource.
func (o *readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkReadOnly(r); err != nil {
		return nil, stepup.Refuse(r, err)
	}
	return o.next.RoundTrip(r.WithContext(withReader(r.Context())))
}

func checkReadOnly(r *http.Request) error {
	for header := range r.Header {
		if strings.HasPrefix(header, "Impersonate-") || header == "Authorization" {
			return fmt.Errorf("a request of %s has the header %s", names.Reader, header)
		}
	}
	factory := request.RequestInfoFactory{
		APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api"),
	}
	info, err := factory.NewRequestInfo(r)
	switch {
	case err != nil:
		return fmt.Errorf("reading the path of a request of %s: %w", names.Reader, err)
	case r.Method != http.MethodGet, !info.IsResourceRequest, info.Subresource != "", info.Verb == "proxy":
		return fmt.Errorf("%s reads resources only, and not by %s %s", names.Reader, r.Method, r.URL.Path)
	case info.APIGroup == "" && info.Resource == "secrets":
		return fmt.Errorf("%s reads no Secrets", names.Reader)
	}
	return nil
}

type readerKey struct{}

func withReader(ctx context.Context) context.Context {
	return context.WithValue(ctx, readerKey{}, true)
}

func isReader(ctx context.Context) bool { return ctx.Value(readerKey{}) != nil }
