// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package streams serves WebSockets and server-sent events. It limits the number and the memory of streams, keeps idle
// streams open, and ends each stream with a reason. While a stream is open, the package regularly checks the rights of
// the caller. It also checks the rights after changes of sessions, users and RBAC objects. It does not interpret the
// messages.
package streams

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// Defaults of Options.
const (
	DefaultPerUser = 64
	DefaultTotal   = 2000
	DefaultBytes   = 64 << 20
)

// retrySeconds is the time after which a client should try again if a stream cannot be opened, in seconds. Clients get
// this time in the header Retry-After.
const retrySeconds = 5

// Options configures a Manager.
type Options struct {
	// Origins lists the web origins whose pages may open streams.
	Origins Origins
	// PerUser bounds the number of streams of one user on this replica.
	PerUser int
	// Total bounds the number of streams of all users on this replica.
	Total int
	// Bytes bounds the memory of all streams, in bytes.
	Bytes int64
	// Work limits the processor time of each user (see Stream.Work). Nil means no limit.
	Work *userlimit.Gates
	// Admit verifies and consumes the one-time ticket with which u was authenticated. It returns nil if u was
	// authenticated in another way. If Admit is nil, tickets are not verified.
	Admit func(ctx context.Context, u user.Info, target Target) error
	// Check returns an error if the session of the user has ended. It may be nil.
	Check func(ctx context.Context, u user.Info) error
	// Expires returns the expiry of the credential with which the stream was opened. Zero means that the credential
	// expires with the session. If Expires is nil, all credentials expire with the session.
	Expires func(u user.Info) time.Time
	// Host returns the connection to the host cluster. A change of RBAC objects there may affect all streams, because
	// these objects determine who may use which cluster. If Host is nil, streams do not depend on the host cluster.
	Host func() Cluster
	// Watched returns true if the RBAC objects of the cluster are watched for changes. After each change, the watcher
	// must call Manager.ClusterChanged. If Watched is nil, no RBAC objects are watched.
	Watched func(Cluster) bool
}

// Manager contains all open streams of a replica.
type Manager struct {
	options Options
	bytes   *budget.Budget
	timing  timing

	mu       sync.Mutex
	stopping bool
	streams  map[*Stream]bool
	users    map[string]map[*Stream]bool
	// perUser contains the number of streams of each user, including streams that are being opened.
	perUser map[string]int
	// total is the number of streams of all users, including streams that are being opened.
	total       int
	clusters    map[Cluster]*dependents
	rbacChanges Coalescer[Cluster]
	// stopped is a context that ends when Shutdown is called.
	stopped context.Context //nolint:containedctx // it ends with the replica, not with a request
	stop    context.CancelCauseFunc
	// empty is closed when Shutdown was called and the last stream has ended.
	empty chan struct{}
}

// timing contains writeTimeout, pingInterval and pongTimeout. Tests use shorter times.
type timing struct{ write, ping, pong time.Duration }

// dependents contains the streams that depend on the connection to one cluster.
type dependents struct {
	streams map[*Stream]bool
	// unused is closed when no stream depends on the connection any more.
	unused chan struct{}
}

// NewManager returns a manager without streams.
func NewManager(o Options) *Manager {
	m := &Manager{
		options: o, bytes: budget.NewShared(budget.Options{Total: o.Bytes, Work: o.Work}),
		streams: map[*Stream]bool{}, users: map[string]map[*Stream]bool{},
		perUser: map[string]int{}, clusters: map[Cluster]*dependents{}, empty: make(chan struct{}),
		timing: timing{write: writeTimeout, ping: pingInterval, pong: pongTimeout},
	}
	m.stopped, m.stop = context.WithCancelCause(context.Background())
	return m
}

// Admit returns an error if the Origin header or the ticket of the request does not allow a stream with the given
// target. It consumes the ticket. Endpoints call Admit before they check the rights of the caller.
func (m *Manager) Admit(r *http.Request, u user.Info, target Target) error {
	if err := m.options.Origins.check(r); err != nil {
		refused.WithLabelValues(target.Verb, "origin").Inc()
		return err
	}
	if m.options.Admit == nil {
		return nil
	}
	if err := m.options.Admit(r.Context(), u, target); err != nil {
		refused.WithLabelValues(target.Verb, "ticket").Inc()
		return err //nolint:wrapcheck // it has its code
	}
	return nil
}

// enter counts a new stream of a user. It returns an error if the user or the replica has too many streams, or if the
// replica is shutting down. name is the name of the user.
func (m *Manager) enter(name, verb string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var message string
	var args []any
	switch {
	case m.stopping:
		message = "this replica is shutting down: connect again"
	case m.perUser[name] >= m.options.PerUser:
		message, args = "you have %d streams open: close some of them", []any{m.options.PerUser}
	case m.total >= m.options.Total:
		message = "too many streams are open: try again shortly"
	default:
		m.perUser[name]++
		m.total++
		return nil
	}
	refused.WithLabelValues(verb, "limit").Inc()
	e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, message, args...)
	e.RetryAfterSeconds = retrySeconds
	return e
}

// leave removes a stream from the count. It must be called once after each successful call of enter().
func (m *Manager) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total--
	m.perUser[name]--
	if m.perUser[name] <= 0 {
		delete(m.perUser, name)
	}
	if m.stopping && m.total == 0 {
		m.closeEmpty()
	}
}

// EnterResponse counts an HTTP response without a time limit, such as a followed log, as a stream of its user. The
// returned context also ends when the replica shuts down. The caller must call leave at the end of the response.
// EnterResponse returns an error if there are too many streams.
func (m *Manager) EnterResponse(
	ctx context.Context, u user.Info,
) (response context.Context, leave context.CancelFunc, err error) {
	if err := m.enter(u.GetName(), verbResponse); err != nil {
		return nil, nil, err
	}
	openGauge.WithLabelValues(verbResponse).Inc()
	response, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.stopped, func() { cancel(context.Cause(m.stopped)) })
	return response, sync.OnceFunc(func() {
		stop()
		cancel(context.Canceled)
		openGauge.WithLabelValues(verbResponse).Dec()
		m.leave(u.GetName())
	}), nil
}

// closeEmpty closes the channel m.empty. It may be called more than once. The caller must hold the lock.
func (m *Manager) closeEmpty() {
	select {
	case <-m.empty:
	default:
		close(m.empty)
	}
}

// add registers a stream. If it returns false, the replica is shutting down, and the caller must end the stream.
func (m *Manager) add(s *Stream) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams[s] = true
	name := s.name
	if m.users[name] == nil {
		m.users[name] = map[*Stream]bool{}
	}
	m.users[name][s] = true
	for _, c := range s.depends {
		d := m.clusters[c]
		if d == nil {
			d = &dependents{streams: map[*Stream]bool{}, unused: make(chan struct{})}
			m.clusters[c] = d
			go m.awaitGone(c, d)
		}
		d.streams[s] = true
	}
	openGauge.WithLabelValues(s.verb).Inc()
	return !m.stopping
}

// remove releases the resources of an ended stream, and calls Ended of its handler.
func (m *Manager) remove(s *Stream) {
	s.account.Close()
	s.mu.Lock()
	for _, timer := range s.timers {
		timer.Stop()
	}
	s.mu.Unlock()
	m.mu.Lock()
	delete(m.streams, s)
	name := s.name
	delete(m.users[name], s)
	if len(m.users[name]) == 0 {
		delete(m.users, name)
	}
	for _, c := range s.depends {
		if d := m.clusters[c]; d != nil && d.streams[s] {
			delete(d.streams, s)
			if len(d.streams) == 0 {
				delete(m.clusters, c)
				close(d.unused)
			}
		}
	}
	m.mu.Unlock()
	defer m.leave(name) // deferred, because Shutdown must wait for the writes of Ended
	end := EndOf(context.Cause(s.done))
	openGauge.WithLabelValues(s.verb).Dec()
	ended.WithLabelValues(s.verb, string(end.Reason)).Inc()
	if s.handler.Ended != nil {
		s.handler.Ended(*end)
	}
}

// awaitGone waits until the connection to a cluster is closed, and ends the streams that depend on it. It returns early
// if no stream depends on the connection any more.
func (m *Manager) awaitGone(c Cluster, d *dependents) {
	select {
	case <-d.unused:
		return
	case <-c.Done():
	}
	for _, s := range m.collect(d.streams) {
		s.End(NewEnd(ClusterGone, "the cluster is no longer connected"))
	}
}

// collect returns the streams in set as a slice.
func (m *Manager) collect(set map[*Stream]bool) []*Stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Stream, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	return out
}

// UserChanged starts checks of all streams of a user. It must be called after a change of the KubeVisionUser or of a
// KubeVisionSession of the user.
func (m *Manager) UserChanged(name string) {
	m.mu.Lock()
	set := m.users[name]
	m.mu.Unlock()
	for _, s := range m.collect(set) {
		s.recheck()
	}
}

// ClusterChanged starts checks of all streams that depend on a cluster. The checks are repeated for staleTime, because
// an API server may still use old RBAC objects during this time. ClusterChanged must be called after each change of the
// cluster's RBAC objects.
func (m *Manager) ClusterChanged(c Cluster) {
	m.mu.Lock()
	unused := m.clusters[c] == nil
	m.mu.Unlock()
	if unused {
		return
	}
	m.rbacChanges.Changed(c, func() {
		m.mu.Lock()
		d := m.clusters[c]
		m.mu.Unlock()
		if d == nil {
			return
		}
		for _, s := range m.collect(d.streams) {
			s.recheck()
		}
	})
}

// recheckEvery returns the interval of the periodic checks of the stream.
func (m *Manager) recheckEvery(s *Stream) time.Duration {
	const unwatchedPerSecond = 50
	if !slices.ContainsFunc(s.depends, m.isUnwatched) {
		return recheckInterval
	}
	// The interval increases with the number of streams, to limit the load of the checks.
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(max(minRecheckInterval, minRecheckInterval*time.Duration(len(m.streams))/unwatchedPerSecond),
		recheckInterval)
}

// isUnwatched returns true if the RBAC objects of the cluster are not watched for changes.
func (m *Manager) isUnwatched(c Cluster) bool {
	return m.options.Watched == nil || !m.options.Watched(c)
}

// Shutdown ends all streams and rejects new ones, so that clients connect to another replica. It returns when the last
// stream has ended, or when ctx ends.
func (m *Manager) Shutdown(ctx context.Context) {
	m.mu.Lock()
	m.stopping = true
	if m.total == 0 {
		m.closeEmpty()
	}
	m.mu.Unlock()
	m.stop(envelope.New(dashboardv1alpha1.CodeUnreachable, "this replica is shutting down: try again"))
	for _, s := range m.collect(m.streams) {
		s.End(NewEnd(Shutdown, "this replica is shutting down: connect again"))
	}
	select {
	case <-m.empty:
	case <-ctx.Done():
	}
}

// Count returns the number of streams, including those that are being opened.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}
