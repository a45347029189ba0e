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

// readerRetry is the pause between a failed token request and the next token request.
const readerRetry = 5 * time.Second

// ErrNoReader is returned if a cluster has no ServiceAccount kubevision-reader. It is also returned if spec.readCache
// of the KubeVisionCluster disables the read cache. Wrapping errors name the reason.
var ErrNoReader = errors.New("the cluster has no account " + names.Reader)

// Reader sends requests to a cluster as the ServiceAccount kubevision-reader, which may not read Secrets. Before a
// result is returned to a user, an access review of the cluster must allow this user to read the objects.
type Reader struct {
	// Config contains the address of the cluster, but no credential.
	Config *rest.Config
	// Client authenticates as the ServiceAccount kubevision-reader. Error responses are sanitized. Requests other than
	// watches end after 30 s, and fail if the response exceeds 256 MiB. A watch may last as long as the connection. The
	// caller must limit the size of the events of a watch, and the processor time for them (pacing.Pace).
	Client *http.Client
	// CacheClient authenticates as the ServiceAccount kubevision-reader, and sanitizes error responses. Successful
	// responses have no limits. The caller must limit their duration, their size, the size of each object, and the
	// processor time (pacing.Pace).
	CacheClient *http.Client
}

// Reader returns a Reader, with which the read cache sends requests to the cluster. It returns ErrNoReader if the read
// cache cannot be used, and ErrNotConnected if the cluster does not respond. It waits for the cluster only if no valid
// token is cached.
func (c *Connection) Reader(ctx context.Context) (*Reader, error) {
	if c.reader == nil || c.reader.disabled.Load() {
		return nil, fmt.Errorf("%w: spec.readCache is %s", ErrNoReader, kubevisionv1alpha1.ReadCacheDisabled)
	}
	if err := c.reader.await(ctx); err != nil {
		return nil, err
	}
	return &c.reader.access, nil
}

// HasReader returns true if a Reader is available immediately, without a request to the cluster.
func (c *Connection) HasReader() bool {
	return c.reader != nil && !c.reader.disabled.Load() && c.reader.isReady(time.Now())
}

// readerAccount manages the Reader of one cluster: the tokens of the ServiceAccount kubevision-reader, and whether the
// read cache is enabled.
type readerAccount struct {
	access Reader
	tokens oauth2.TokenSource
	// ready is the last time at which a ServiceAccount token was available, as Unix time in nanoseconds.
	ready atomic.Int64

	disabled atomic.Bool
	mu       sync.Mutex
	// connectionCtx ends when the connection to the cluster is closed.
	connectionCtx context.Context //nolint:containedctx // it does not end with a request
	// enabledCtx ends when the read cache is disabled, or when the connection to the cluster is closed.
	enabledCtx context.Context //nolint:containedctx // it does not end with a request
	// cancelEnabled cancels enabledCtx.
	cancelEnabled context.CancelFunc
}

// setDisabled disables or enables the read cache. It cancels enabledCtx to disable the read cache, and creates a new
// enabledCtx to enable it.
func (a *readerAccount) setDisabled(disabled bool) {
	if a.disabled.Load() == disabled {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.disabled.Swap(disabled) == disabled {
		return
	}
	a.cancelEnabled()
	if !disabled {
		a.enabledCtx, a.cancelEnabled = context.WithCancel(a.connectionCtx)
	}
}

func (a *readerAccount) done() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.enabledCtx.Done()
}

// newReaderAccount returns the readerAccount of a cluster. The parameter anonymous is a transport that must not add a
// credential to requests.
func newReaderAccount(
	connectionCtx context.Context, config *rest.Config, anonymous http.RoundTripper,
	accounts corev1client.ServiceAccountsGetter,
) *readerAccount {
	tokens := transport.NewCachedTokenSource(&patientSource{
		next: &tokenSource{accounts: accounts, account: names.Reader}, now: time.Now,
	})
	authenticated := withTokens(tokens)(anonymous)
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.Timeout = 0 // Watches must not time out, and the transport bounds all other requests.
	// A separate limit of requests in flight and a separate circuit breaker, so that the read cache does not compete
	// with requests of users.
	next := guarded(authenticated)
	a := &readerAccount{tokens: tokens, connectionCtx: connectionCtx, access: Reader{
		Config:      config,
		Client:      &http.Client{Transport: &readOnly{next: next}, CheckRedirect: refuseRedirect},
		CacheClient: &http.Client{Transport: &readOnly{next: next, forCache: true}, CheckRedirect: refuseRedirect},
	}}
	a.enabledCtx, a.cancelEnabled = context.WithCancel(connectionCtx)
	return a
}

const tokenCheckInterval = time.Second

func (a *readerAccount) isReady(now time.Time) bool {
	return now.UnixNano()-a.ready.Load() < int64(tokenCheckInterval)
}

// await waits for a token of the ServiceAccount. It returns an error if the cluster issues none, or if ctx ends.
func (a *readerAccount) await(ctx context.Context) error {
	if a.isReady(time.Now()) {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.tokens.Token()
		if err == nil {
			a.ready.Store(time.Now().UnixNano())
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a token of %s: %w", names.Reader, ctx.Err())
	}
}

// patientSource requests tokens. After a failed request, it sends no further request until readerRetry has passed, and
// returns the same error.
type patientSource struct {
	next *tokenSource
	now  func() time.Time

	mu    sync.Mutex
	err   error
	after time.Time
}

// Token requests a token. It returns ErrNoReader if the cluster responds that the ServiceAccount does not exist or that
// its tokens are forbidden, and ErrNotConnected for other failures.
func (s *patientSource) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && s.now().Before(s.after) {
		return nil, s.err
	}
	token, err := s.next.token(context.Background())
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		// Only the text of the error is used. If the Status were wrapped, callers would take the Status for the
		// response to the request of a user.
		err = fmt.Errorf("%w: %s", ErrNoReader, err.Error())
	case err != nil:
		err = fmt.Errorf("%w: %s", ErrNotConnected, err.Error())
	}
	s.err, s.after = err, s.now().Add(readerRetry)
	return token, err
}

// readOnly allows the verbs get, list and watch for all resources except Secrets and subresources. It rejects all other
// requests, even if the ServiceAccount has more rights.
type readOnly struct {
	next http.RoundTripper
	// forCache is true if the transport must not limit the time and size of responses, because the read cache limits
	// them.
	forCache bool
}

// RoundTrip sends the request. It returns an error without sending the request if checkReadOnly returns one.
func (o *readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkReadOnly(r); err != nil {
		return nil, stepup.Refuse(r, err)
	}
	return o.next.RoundTrip(r.WithContext(withReader(r.Context(), o.forCache)))
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
		return fmt.Errorf("%s only reads resources: %s %s is not allowed", names.Reader, r.Method, r.URL.Path)
	case info.APIGroup == "" && info.Resource == "secrets":
		return fmt.Errorf("%s does not read Secrets", names.Reader)
	}
	return nil
}

type readerKey struct{}

func withReader(ctx context.Context, forCache bool) context.Context {
	return context.WithValue(ctx, readerKey{}, forCache)
}

func isReader(ctx context.Context) bool { return ctx.Value(readerKey{}) != nil }

func isForCache(ctx context.Context) bool {
	forCache, _ := ctx.Value(readerKey{}).(bool)
	return forCache
}
