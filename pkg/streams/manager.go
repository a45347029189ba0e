// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package streams serves WebSockets. It bounds them, ends them with a reason once the caller has lost the session or
// the right, and knows nothing of what is sent.
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

// retrySeconds is the Retry-After of a stream that is refused because of a limit.
const retrySeconds = 5

// Options configures a Manager.
type Options struct {
	// Origins are the origins whose pages may open streams.
	Origins Origins
	// PerUser bounds the streams of one user, and Total those of all users, of this replica.
	PerUser, Total int
	// Bytes bounds the memory that all streams hold together.
	Bytes int64
	// Admit checks and spends the ticket with which a request was authenticated, if it was.
	Admit func(ctx context.Context, u user.Info, target Target) error
	// Check returns an error once the session of a user has ended.
	Check func(ctx context.Context, u user.Info) error
	// Expires returns the end of the credential with which a stream is opened; zero if the session is its only end.
	// Nil means the session.
	Expires func(u user.Info) time.Time
	// Host returns the connection to the host cluster, which decides about the use of each other cluster. Nil means
	// that no stream depends on it.
	Host func() Cluster
	// Watched returns whether changes of the RBAC objects of a cluster are reported to ClusterChanged.
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
	// places are the streams of each user, also those that are about to be opened.
	places   map[string]int
	total    int
	clusters map[Cluster]*dependents
	settling Settling[Cluster]
	// stopped ends with Shutdown. Responses without an end depend on it.
	stopped context.Context //nolint:containedctx // it is the life of the replica, not of a request
	stop    context.CancelCauseFunc
	// empty is closed when the last stream has ended after Shutdown.
	empty chan struct{}
}

// timing has the constants of the same names. Tests change it.
type timing struct{ write, ping, pong time.Duration }

// dependents are the streams that depend on a connection to a cluster.
type dependents struct {
	streams map[*Stream]bool
	// unused is closed when there are none any more.
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

// Admit decides whether a request may open a stream, before anything is asked about the right to it: by its origin, and
// by the ticket that came with it, which is spent.
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

// enter takes a place for a stream of a user.
func (m *Manager) enter(name, verb string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var message string
	var args []any
	switch {
	case m.stopping:
		message = "this replica stops: connect again"
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

// leave frees the place of a stream.
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

// EnterResponse takes a place for a response without an end, which counts as a stream of its user. The returned context
// ends when the replica stops. The caller must call leave at the end of the response.
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

// closeEmpty reports that no stream is left. The caller holds the lock.
func (m *Manager) closeEmpty() {
	select {
	case <-m.empty:
	default:
		close(m.empty)
	}
}

// add registers a stream that has its place. It is false if the manager stops.
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

// remove forgets a stream.
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
	defer m.leave(name) // Shutdown waits for what Ended writes
	end := EndOf(context.Cause(s.done))
	openGauge.WithLabelValues(s.verb).Dec()
	ended.WithLabelValues(s.verb, string(end.Reason)).Inc()
	if s.handler.Ended != nil {
		s.handler.Ended(*end)
	}
}

// awaitGone ends the streams of a cluster when the connection is gone.
func (m *Manager) awaitGone(c Cluster, d *dependents) {
	select {
	case <-d.unused:
		return
	case <-c.Done():
	}
	for _, s := range m.collect(d.streams) {
		s.End(NewEnd(ClusterGone, "the cluster is not connected any more"))
	}
}

// collect returns the streams of a set that others may change.
func (m *Manager) collect(set map[*Stream]bool) []*Stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Stream, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	return out
}

// UserChanged checks the sessions of a user's streams: an object of the user has changed.
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

// ClusterChanged checks the rights of all streams that depend on a cluster: an RBAC object has changed there.
func (m *Manager) ClusterChanged(c Cluster) {
	m.mu.Lock()
	unused := m.clusters[c] == nil
	m.mu.Unlock()
	if unused {
		return
	}
	m.settling.Changed(c, func() {
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

// recheckEvery returns the time between two checks of a stream if no change is reported. The more streams depend on
// clusters whose changes are not reported, the longer it is, so that their checks do not load the clusters.
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

// isUnwatched returns whether changes of the RBAC objects of a cluster are not reported.
func (m *Manager) isUnwatched(c Cluster) bool {
	return m.options.Watched == nil || !m.options.Watched(c)
}

// Shutdown ends all streams, and lets none begin any more. Clients are told to connect again, which is then to another
// replica. It returns when the last stream has ended, or when the context ends.
func (m *Manager) Shutdown(ctx context.Context) {
	m.mu.Lock()
	m.stopping = true
	if m.total == 0 {
		m.closeEmpty()
	}
	m.mu.Unlock()
	m.stop(envelope.New(dashboardv1alpha1.CodeUnreachable, "this replica stops: try again"))
	for _, s := range m.collect(m.streams) {
		s.End(NewEnd(Shutdown, "this replica stops: connect again"))
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
