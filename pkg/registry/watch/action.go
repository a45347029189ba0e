// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// maxAction bounds the bytes of a message from a client. A message with 64 topics and 64 bookmarks has 50 KiB.
	maxAction = 64 << 10
	// subscribeTimeout bounds the time for adding one topic.
	subscribeTimeout = 20 * time.Second
	// topicWork is the processor time that is charged to the user for adding one topic. It is an estimate. A measured
	// duration would also include the time during which the server waits for the cluster.
	topicWork = 100 * time.Microsecond
)

// Values of action.Action.
const (
	actionSubscribe   = "subscribe"
	actionUnsubscribe = "unsubscribe"
	actionPing        = "ping"
	actionToken       = "token"
)

// action is a JSON message from a client.
type action struct {
	Action string   `json:"action"`
	Topics []string `json:"topics,omitempty"`
	// Summary is true if metadata of objects are to be sent instead of whole objects.
	Summary bool `json:"summary,omitempty"`
	// Initial is true if the existing objects are to be sent before the first change.
	Initial bool `json:"initial,omitempty"`
	// Bookmarks maps topics to the bookmarks from which they resume.
	Bookmarks map[string]string `json:"bookmarks,omitempty"`
	// Token is an access token that replaces the token of the stream.
	Token string `json:"token,omitempty"`
}

// received handles a message from a client.
func (c *client) received(ctx context.Context, s *streams.Stream, m streams.Message) error {
	var a action
	if err := s.Work(func() error { return routes.DecodeJSON(m.Data, &a) }); err != nil {
		return err //nolint:wrapcheck // it has its code
	}
	switch a.Action {
	case actionPing: // Nothing to do: every message keeps the connection open.
		return nil
	case actionToken:
		return c.provider.renew(ctx, s, a.Token)
	case actionSubscribe:
		return c.subscribe(ctx, a)
	case actionUnsubscribe:
		return s.Work(func() error { return c.unsubscribe(a) }) //nolint:wrapcheck // as above
	default:
		return streams.NewEnd(streams.Malformed, "there is no such action")
	}
}

// renew replaces the access token of s with newToken. If newToken is not valid or belongs to another user, renew
// returns an error, which ends the stream.
func (p *Provider) renew(ctx context.Context, s *streams.Stream, newToken string) error {
	principal, err := p.Tokens.Authenticate(ctx, newToken)
	if err != nil {
		return streams.NewEnd(streams.SessionEnded, "the token is not valid")
	}
	return s.Renew(principal, principal.Expires)
}

// subscribe adds the topics that a message from the client names. If the number of topics or the name of a topic is not
// valid, subscribe returns an error, which ends the stream. If a topic cannot be added for another reason, subscribe
// sends an error for this topic to the client, and continues with the next topic.
func (c *client) subscribe(ctx context.Context, a action) error {
	if len(a.Topics) == 0 || len(a.Topics) > maxTopics {
		return tooManyTopics()
	}
	c.stopImplicit()
	for _, text := range a.Topics {
		name, err := parseTopic(text)
		if err != nil {
			return err
		}
		c.stream.Account().Charge(topicWork)
		_, from, _ := strings.Cut(text, "@")
		if err := c.subscribeTo(ctx, name, a, cmp.Or(from, a.Bookmarks[text])); err != nil {
			if err := c.send(name.errorNotice(err)); err != nil {
				return err
			}
		}
	}
	return nil
}

func tooManyTopics() error {
	return envelope.Invalid("topics", "name 1 to %d topics", maxTopics)
}

// stopImplicit removes all topics that the server has added without a request of the client, and prevents further
// topics of this kind. Later calls do nothing.
func (c *client) stopImplicit() {
	c.mu.Lock()
	first := !c.implicitStopped
	c.implicitStopped = true
	var old []*topic
	if first {
		for name, t := range c.topics {
			old = append(old, t)
			delete(c.topics, name)
		}
	}
	c.mu.Unlock()
	for _, t := range old {
		t.feed.remove(t)
	}
	if first {
		c.provider.Recent.unregister(c)
	}
}

func (c *client) unsubscribe(a action) error {
	if len(a.Topics) > maxTopics {
		return tooManyTopics()
	}
	c.stopImplicit()
	for _, text := range a.Topics {
		name, err := parseTopic(text)
		if err != nil {
			return err
		}
		c.mu.Lock()
		t := c.topics[name]
		c.mu.Unlock()
		if t != nil {
			c.drop(t)
		}
	}
	return nil
}

// subscribeTo adds one topic. If resumeBookmark is not empty, the topic resumes at this bookmark.
func (c *client) subscribeTo(ctx context.Context, name topicName, a action, resumeBookmark string) error {
	ctx, cancel := context.WithTimeout(ctx, subscribeTimeout)
	defer cancel()
	t, err := c.prepare(ctx, name)
	if err != nil {
		return err
	}
	t.summary = a.Summary
	if err := t.begin(a.Initial, resumeBookmark); err != nil {
		return err
	}
	if t.initial == nil { // If there are initial objects, the first bookmark follows them.
		if err := c.send(t.bookmarkNotice(false)); err != nil {
			return err
		}
	}
	if err := c.add(t); err != nil {
		t.releaseInitial()
		return err
	}
	c.wake()
	return nil
}

// prepare returns a new topic with the given name. It returns an error if the caller may not list the objects, or if
// the read cache does not hold them.
func (c *client) prepare(ctx context.Context, name topicName) (*topic, error) {
	caller, err := c.provider.Access.ClusterByName(ctx, c.stream.User(), name.cluster)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its code
	}
	target, err := objectref.Find(ctx, caller.Client, "list", name.resource, name.namespace, "")
	if err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	// This check comes first, because CheckScope may call the cluster.
	if !caller.IsWatchable(ctx) {
		return nil, notCached(name.resource)
	}
	if err := caller.CheckScope(ctx, target); err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	f, ok := c.provider.feeds.get(ctx, caller.Connection(), target.Resource)
	if !ok {
		return nil, notCached(name.resource)
	}
	t := &topic{topicName: name, client: c, feed: f, target: target}
	if t.epoch, err = c.provider.epoch(ctx, name.cluster, target.Resource); err != nil {
		return nil, err
	}
	return t, c.provider.review(ctx, t, c.stream.User())
}

func (t *topic) begin(initial bool, resumeBookmark string) error {
	if resumeBookmark == "" {
		t.feed.mu.RLock()
		t.cursor, t.version = t.feed.head(), t.feed.version
		snapshot := t.feed.content // A newer snapshot would contain changes that the topic sends later.
		t.feed.mu.RUnlock()
		if snapshot == nil {
			return expired()
		}
		if initial { // The existing objects precede the changes.
			t.beginInitial(snapshot)
		}
		return nil
	}
	t.feed.mu.RLock()
	defer t.feed.mu.RUnlock()
	p, ok := decodePosition(resumeBookmark)
	if !ok {
		return envelope.Invalid("bookmarks", "the bookmark is malformed: send one that a stream has sent")
	}
	cursor, ok := t.feed.resume(p.Version)
	if p.Epoch != t.epoch || !ok {
		return expired()
	}
	t.cursor, t.resumeVersion, t.version = cursor, p.Version, p.Version
	return nil
}

// beginInitial determines the objects that are sent before the first change. These are the objects of snapshot in the
// namespace of the topic.
func (t *topic) beginInitial(snapshot *readcache.Snapshot) {
	groups := snapshot.Groups
	if t.target.Namespace != "" {
		groups = snapshot.In(t.target.Namespace)
	}
	view := t.feed.subscription.Current()
	view.Snapshot = snapshot
	t.initial = newInitialObjects(view, groups)
}

// releaseInitial drops the initial objects that were not yet sent, so that their memory can be freed.
func (t *topic) releaseInitial() {
	if t.initial != nil {
		t.initial.drop()
		t.initial.release()
	}
}

func (c *client) addImplicit(name topicName) {
	ctx, cancel := context.WithTimeout(c.stream.Context(), subscribeTimeout)
	defer cancel()
	t, err := c.prepare(ctx, name)
	if err != nil || t.begin(false, "") != nil {
		return // The client has not asked for the topic, and therefore gets no error.
	}
	t.implicit = true
	c.mu.Lock()
	unwanted := c.implicitStopped || c.topics[name] != nil
	c.mu.Unlock()
	if unwanted || c.add(t) != nil {
		return
	}
	c.wake()
}
