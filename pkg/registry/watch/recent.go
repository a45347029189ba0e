// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/lru"

	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

const (
	recentTime  = 10 * time.Minute
	maxSessions = 2048
	// maxListed bounds the number of recently listed resources that the server remembers for each login session. All
	// sessions together use at most about 20 MiB of memory.
	maxListed = 16
)

// Recent records which resources each login session has recently listed on this replica. A client that has not
// subscribed to any topic gets the changes of the resources that its session has listed.
type Recent struct {
	mu       sync.Mutex
	sessions *lru.Cache
	// clients contains, for each login session, the set of its clients that have not subscribed to topics.
	clients map[string]map[*client]bool
}

// NewRecent returns a Recent without sessions.
func NewRecent() *Recent {
	return &Recent{sessions: lru.New(maxSessions), clients: map[string]map[*client]bool{}}
}

// listed maps topics to the time at which a login session has last listed their objects.
type listed map[topicName]time.Time

// sessionOf returns an identifier of the login session of u, or of the user if u has no session.
func sessionOf(u user.Info) string {
	if p, ok := u.(*authentication.Principal); ok {
		return "session/" + p.Session
	}
	return "user/" + u.GetName()
}

// Note records that the login session of u has listed a resource. Watch clients of the session that have not subscribed
// to topics then receive the changes of this resource.
func (r *Recent) Note(u user.Info, cluster, resource string, target objectref.Target) {
	if r == nil {
		return
	}
	session, name := sessionOf(u), topicName{cluster, resource, target.Namespace}
	r.mu.Lock()
	topics, _ := r.get(session)
	if topics == nil {
		topics = listed{}
		r.sessions.Add(session, topics)
	}
	now := time.Now()
	isNew := now.Sub(topics[name]) > recentTime
	if isNew && len(topics) >= maxListed {
		topics.prune(now)
	}
	topics[name] = now
	var clients []*client
	if isNew {
		for c := range r.clients[session] {
			clients = append(clients, c)
		}
	}
	r.mu.Unlock()
	for _, c := range clients {
		c.stream.Go(func() { c.addImplicit(name) })
	}
}

// prune makes room in l for a new topic. It removes the topics whose objects were not listed within recentTime. If
// there is still no room, it also removes the topic whose objects were listed least recently.
func (l listed) prune(now time.Time) {
	var oldest topicName
	for name, at := range l {
		if now.Sub(at) > recentTime {
			delete(l, name)
		} else if l[oldest].IsZero() || at.Before(l[oldest]) {
			oldest = name
		}
	}
	if len(l) >= maxListed {
		delete(l, oldest)
	}
}

func (r *Recent) get(session string) (listed, bool) {
	value, _ := r.sessions.Get(session)
	topics, ok := value.(listed)
	return topics, ok
}

// hasListed returns true if the login session has listed the objects of the topic within recentTime.
func (r *Recent) hasListed(session string, name topicName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	topics, _ := r.get(session)
	at, ok := topics[name]
	return ok && time.Since(at) <= recentTime
}

// register records c, so that Recent.Note adds a topic to c when the login session of c lists another resource.
// register returns the topics of the resources that this login session has recently listed.
func (r *Recent) register(c *client) []topicName {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients[c.session] == nil {
		r.clients[c.session] = map[*client]bool{}
	}
	r.clients[c.session][c] = true
	topics, _ := r.get(c.session)
	var out []topicName
	for name, at := range topics {
		if time.Since(at) <= recentTime {
			out = append(out, name)
		}
	}
	return out
}

func (r *Recent) unregister(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients[c.session], c)
	if len(r.clients[c.session]) == 0 {
		delete(r.clients, c.session)
	}
}
