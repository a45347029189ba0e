// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package streams serves WebSockets and server-sent events. It limits the number of streams, and ends each stream with
// a reason. It reviews the session and the right of the caller periodically, and when a session, a user or an RBAC
// object changes. It does not interpret messages.
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
)

// Defaults of Options.
const (
	DefaultPerUser = 64
	DefaultTotal   = 2000
	DefaultBytes   = 64 << 20
)

// retrySeconds is the Retry-After value for a stream that exceeds a limit.
const retrySeconds = 5

// Options configures a Manager.
type Options struct {
	// Origins are the origins whose pages may open streams.
	Origins Origins
	// PerUser bounds the streams of one user on this replica. Total bounds the streams of all users.
	PerUser, Total int
	// Bytes bounds the memory of all streams.
	Bytes int64
	// Admit verifies the ticket of a request, if it has one, and marks it as used.
	Admit func(ctx context.Context, u user.Info, target Target) error
	// Check returns an error if the session of a user has ended.
	Check func(ctx context.Context, u user.Info) error
	// Expires returns the expiry of the credential with which a stream is opened. Zero means that the credential is
	// valid until the session ends. If Expires is nil, the credentials of all streams are valid until the session ends.
	Expires func(u user.Info) time.Time
	// Host returns the connection to the host cluster, on which the right to use every cluster depends. If it is nil,
	// no stream depends on the host.
	Host func() Cluster
	// Watched returns true if changes of the RBAC objects of a cluster are reported to ClusterChanged.
	Watched func(Cluster) bool
}

// Manager holds the open streams of a replica.
type Manager struct {
	options Options
	bytes   *budget.Budget
	timing  timing

	mu       sync.Mutex
	stopping bool
	streams  map[*Stream]bool
	users    map[string]map[*Stream]bool
	// places counts the streams of each user, including those that are being opened.
	places      map[string]int
	total       int
	clusters    map[Cluster]*dependents
	rbacChanges Coalescer[Cluster]
	// stopped ends when Shutdown is called. Responses without an end use it as their context.
	stopped context.Context //nolint:containedctx // it ends with the replica, not with a request
	stop    context.CancelCauseFunc
	// empty is closed when the last stream has ended after Shutdown.
	empty chan struct{}
}

// timing contains writeTimeout, pingInterval and pongTimeout, or shorter times in tests.
type timing struct{ write, ping, pong time.Duration }

// dependents is the set of streams that depend on a connection to a cluster.
type dependents struct {
	streams map[*Stream]bool
	// unused is closed when the set is empty.
	unused chan struct{}
}

// NewManager returns a manager without streams.
func NewManager(o Options) *Manager {
	m := &Manager{
		options: o, bytes: budget.New(o.Bytes), streams: map[*Stream]bool{}, users: map[string]map[*Stream]bool{},
		places: map[string]int{}, clusters: map[Cluster]*dependents{}, empty: make(chan struct{}),
		timing: timing{write: writeTimeout, ping: pingInterval, pong: pongTimeout},
	}
	m.stopped, m.stop = context.WithCancelCause(context.Background())
	return m
}

// Admit returns an error if the origin or the ticket of a request does not allow it to open a stream. It marks the
// ticket as used. It must be called before the review of the caller's right.
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

// enter reserves a place for a stream of a user.
func (m *Manager) enter(name, verb string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var message string
	var args []any
	switch {
	case m.stopping:
		message = "this replica is shutting down: connect again"
	case m.places[name] >= m.options.PerUser:
		message, args = "you have %d streams open: close some of them", []any{m.options.PerUser}
	case m.total >= m.options.Total:
		message = "too many streams are open: try again shortly"
	default:
		m.places[name]++
		m.total++
		return nil
	}
	refused.WithLabelValues(verb, "limit").Inc()
	e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, message, args...)
	e.RetryAfterSeconds = retrySeconds
	return e
}

// leave releases the place that enter reserved for a stream of the user.
func (m *Manager) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total--
	m.places[name]--
	if m.places[name] <= 0 {
		delete(m.places, name)
	}
	if m.stopping && m.total == 0 {
		m.closeEmpty()
	}
}

// EnterResponse reserves a place for a response without an end, which counts as a stream of its user. The returned
// context ends when the replica shuts down. The caller must call leave at the end of the response.
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

// closeEmpty closes empty if no stream is left. The caller must hold the lock.
func (m *Manager) closeEmpty() {
	select {
	case <-m.empty:
	default:
		close(m.empty)
	}
}

// add registers a stream that has a place. It returns false if the manager has stopped.
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

// remove removes a stream.
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

// awaitGone waits until the connection to a cluster is closed, and then ends the streams that depend on it.
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

// collect returns a copy of a set of streams.
func (m *Manager) collect(set map[*Stream]bool) []*Stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Stream, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	return out
}

// UserChanged checks all streams of a user. It must be called after a change of the user, or of a session of the user.
func (m *Manager) UserChanged(name string) {
	m.mu.Lock()
	set := m.users[name]
	m.mu.Unlock()
	if len(set) == 0 {
		return
	}
	for _, s := range m.collect(set) {
		s.recheck()
	}
}

// ClusterChanged checks all streams that depend on a cluster. It must be called after a change of an RBAC object of the
// cluster.
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

// recheckEvery returns the time between two checks of a stream if no change is reported. It grows with the number of
// streams that depend on unwatched clusters, which bounds the load that checks cause.
func (m *Manager) recheckEvery(s *Stream) time.Duration {
	const unwatchedPerSecond = 50
	if !slices.ContainsFunc(s.depends, m.isUnwatched) {
		return recheckInterval
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(max(unwatchedInterval, unwatchedInterval*time.Duration(len(m.streams))/unwatchedPerSecond),
		recheckInterval)
}

// isUnwatched returns true if changes of the RBAC objects of a cluster are not reported.
func (m *Manager) isUnwatched(c Cluster) bool {
	return m.options.Watched == nil || !m.options.Watched(c)
}

// Shutdown ends all streams and rejects new ones. The reason of the end makes clients reconnect, to another replica.
// Shutdown returns when the last stream has ended, or when the context ends.
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

// Count returns the number of open streams.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}
