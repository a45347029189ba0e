// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const (
	// maxTopics bounds the number of topics of a client.
	maxTopics = 64
	// messageBytes is a size in bytes. A message that has reached this size gets no further events, so that it exceeds
	// the size by less than one event.
	messageBytes = 256 << 10
	// implicitInterval is the minimum time between two events of an implicit topic. The server adds implicit topics for
	// clients that do not subscribe to topics.
	implicitInterval = time.Second
	// bookmarkInterval is the time between two bookmarks of a topic.
	bookmarkInterval = 5 * time.Second
	// reviewPatience is the time for which the access reviews of a topic may fail before the topic ends. The topic
	// sends no events while the reviews fail.
	reviewPatience = 30 * time.Second
	// reviewRetry is the time after which a failed access review is retried.
	reviewRetry = time.Second
	// memoryPatience is the time for which a topic may wait for the memory of its next message before the topic ends.
	memoryPatience = 30 * time.Second
	// memoryRetry is the time between two attempts to reserve the memory for a message.
	memoryRetry = 200 * time.Millisecond
	// initialPatience bounds the time for sending all initial objects of a topic.
	initialPatience = time.Minute
)

// sender contains the methods of streams.Stream that a client needs.
type sender interface {
	SendText(data []byte) error
	Go(f func())
	User() user.Info
	Context() context.Context
	Account() *budget.Account
}

// client is one open stream with its topics. At most one goroutine sends the events of all topics. The goroutine ends
// when there is nothing to send.
type client struct {
	provider *Provider
	stream   sender
	// session identifies the login session of the caller. Until the client subscribes to a topic, the client gets the
	// changes of the lists that this session has requested.
	session string

	mu              sync.Mutex
	topics          map[topicName]*topic
	implicitStopped bool
	// running is true while the goroutine that executes run() exists.
	running bool
	// dirty is true if run() must check all topics again.
	dirty  bool
	closed bool
}

// wake causes a check of all topics for new events. The check runs in the goroutine that executes run(). If there is no
// such goroutine, wake starts it. wake does not block.
func (c *client) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirty = true
	if !c.running && !c.closed {
		c.running = true
		c.stream.Go(c.run)
	}
}

// run sends the new events of all topics until no topic has new events.
func (c *client) run() {
	for {
		c.mu.Lock()
		if !c.dirty || c.closed || c.stream.Context().Err() != nil {
			c.running = false
			c.mu.Unlock()
			return
		}
		c.dirty = false
		topics := slices.Collect(maps.Values(c.topics))
		c.mu.Unlock()
		for _, t := range topics {
			c.advance(c.stream.Context(), t)
		}
	}
}

// close ends the client. It removes all topics of the client from their feeds.
func (c *client) close() {
	c.mu.Lock()
	c.closed = true
	topics := c.topics
	c.topics = nil
	c.mu.Unlock()
	for _, t := range topics {
		t.feed.remove(t)
	}
}

// add adds t to the client and to t.feed. It replaces a topic with the same name. It returns an error if the client has
// maxTopics topics or if the feed has ended.
func (c *client) add(t *topic) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.topics[t.topicName]
	switch {
	case c.closed:
		return nil
	case old == nil && len(c.topics) >= maxTopics:
		return envelope.New(dashboardv1alpha1.CodeTooManyRequests, "a stream has at most %d topics", maxTopics)
	}
	if !t.feed.add(t) {
		return expired()
	}
	if old != nil {
		old.feed.remove(old)
	}
	c.topics[t.topicName] = t
	return nil
}

// drop removes t from the client and from t.feed.
func (c *client) drop(t *topic) {
	c.mu.Lock()
	if c.topics[t.topicName] == t {
		delete(c.topics, t.topicName)
	}
	c.mu.Unlock()
	t.feed.remove(t)
}

// later schedules a call of wake. It does not block.
func (c *client) later(after time.Duration) { time.AfterFunc(after, c.wake) }

// advance sends the new events of t to the client. After an error, it removes t from the client. The stream and the
// other topics continue.
func (c *client) advance(ctx context.Context, t *topic) {
	if t.implicit && !c.implicitTopicIsDue(t) {
		return
	}
	err := c.advanceReviewed(ctx, t)
	if err == nil || ctx.Err() != nil {
		return
	}
	c.drop(t)
	if !t.implicit { // The client has not asked for an implicit topic, and therefore gets no error.
		_ = c.stream.SendText(encode(t.errorNotice(err))) // The stream handles its own errors.
	}
}

func (c *client) implicitTopicIsDue(t *topic) bool {
	if !c.provider.Recent.hasListed(c.session, t.topicName) { // The client no longer shows the objects.
		c.drop(t)
		return false
	}
	if wait := implicitInterval - time.Since(t.sent); wait > 0 {
		if !t.wakeScheduled {
			t.wakeScheduled = true
			time.AfterFunc(wait, c.wake)
		}
		return t.unreviewed.Load() // An access review is not delayed.
	}
	t.wakeScheduled = false
	return true
}

// advanceReviewed sends new events of t in batches. Before each batch, it repeats the access review if necessary. It
// returns an error if the topic must end.
func (c *client) advanceReviewed(ctx context.Context, t *topic) error {
	for {
		if t.feed.hasEnded() {
			return t.endOfFeedError()
		}
		if !t.unreviewed.Load() && !t.hasNews() {
			return nil
		}
		if wait, err := c.reviewed(ctx, t); err != nil || wait {
			return err
		}
		if wait := implicitInterval - time.Since(t.sent); t.implicit && wait > 0 {
			c.later(wait)
			return nil
		}
		more, err := c.sendBatch(t)
		if err != nil || !more {
			return err
		}
	}
}

// reviewed repeats the access review of t if the last one is no longer valid. It returns true if the review has failed
// and is retried after reviewRetry. reviewed returns an error if the caller lacks the right, or if reviews have failed
// for longer than reviewPatience.
func (c *client) reviewed(ctx context.Context, t *topic) (wait bool, err error) {
	if c.provider.isReviewed(t) {
		return false, nil
	}
	t.unreviewed.Store(false) // reset before the review, because a change during the review sets it again
	err = c.provider.review(ctx, t, c.stream.User())
	switch {
	case err == nil:
		t.failing = time.Time{}
		return false, nil
	case isDenial(err):
		return false, err
	case t.failing.IsZero():
		t.failing = time.Now()
	case time.Since(t.failing) > reviewPatience:
		return false, err
	}
	t.unreviewed.Store(true)
	c.later(reviewRetry)
	return true, nil
}

// sendBatch sends the next events of t in one message. It returns true if there may be more events.
func (c *client) sendBatch(t *topic) (more bool, err error) {
	if t.initial != nil {
		return c.sendInitial(t)
	}
	next := t.feed.collect(t.cursor, t.resumeVersion, t.selects)
	if next.expired {
		return false, expired()
	}
	if t.implicit && len(next.events) > 1 {
		next.events = next.events[len(next.events)-1:]
	}
	message, release, err := c.message(t, next.events, next.revision)
	if err != nil {
		return false, c.awaitMemory(t, err)
	}
	next.events = nil // release the objects, because sending to a slow client may take long
	if err := c.sendMessage(t, message, release); err != nil {
		return false, err
	}
	t.cursor = next.cursor
	if !next.last {
		return true, nil
	}
	t.version = next.bookmarkVersion
	return false, c.sendBookmark(t)
}

// message encodes events as one message, and reserves memory for it until release is called. revision identifies the
// content of the feed from which the events were read. It is 0 if the events do not come from a feed.
func (c *client) message(t *topic, events []event, revision uint64) (message []byte, release func(), err error) {
	var size int64
	for _, e := range events {
		size += t.sizeOf(e)
	}
	encode := func() []byte {
		message := make([]byte, 0, size)
		for _, e := range events {
			message = t.appendEvent(message, e)
		}
		return message
	}
	// Clients at the same position of the feed share the message, so that its memory is charged only once.
	if revision > 0 && size <= maxShared && t.canShareMessages() {
		shared := &t.feed.objectMessage
		if t.summary {
			shared = &t.feed.summaryMessage
		}
		key := messageKey{cursor: t.cursor, revision: revision, topic: t.topicName}
		if message, release, err := shared.getOrEncode(key, c.stream.Account(), size, encode); err == nil {
			return message, release, nil
		}
	}
	release, err = c.stream.Account().Hold(size)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // awaitMemory wraps it
	}
	return encode(), release, nil
}

// awaitMemory schedules a retry of the next message of t, for which there was no memory. It returns an error if t has
// waited for longer than memoryPatience.
func (c *client) awaitMemory(t *topic, err error) error {
	if t.outOfMemorySince.IsZero() {
		t.outOfMemorySince = time.Now()
	}
	if time.Since(t.outOfMemorySince) > memoryPatience {
		return envelope.OutOfMemory(err)
	}
	t.unreviewed.Store(true) // makes the client retry even if nothing changes
	c.later(memoryRetry)     // No event is lost, because the retry reads the events from the feed again.
	return nil
}

// sendMessage sends a message to the client, and then calls release().
func (c *client) sendMessage(t *topic, message []byte, release func()) error {
	defer release()
	t.outOfMemorySince = time.Time{}
	if len(message) == 0 {
		return nil
	}
	t.sent = time.Now()
	return c.stream.SendText(message) //nolint:wrapcheck // the end of the stream
}

func (c *client) sendInitial(t *topic) (more bool, err error) {
	events, last, ok := t.initial.take(t.selects)
	if !ok {
		return false, expired()
	}
	message, release, err := c.message(t, events, 0)
	if err != nil { // the topic cannot take the objects again
		return false, envelope.OutOfMemory(err)
	}
	clear(events) // release the objects, because sending to a slow client may take long
	if err := c.sendMessage(t, message, release); err != nil {
		return false, err
	}
	if last {
		t.releaseInitial()
		t.initial = nil
		// The changes follow the first bookmark.
		return true, c.send(t.bookmarkNotice(true))
	}
	return true, nil
}

// sendBookmark sends a bookmark of t if bookmarkInterval has passed since the last one. It sends none if the client has
// not subscribed to t.
func (c *client) sendBookmark(t *topic) error {
	if t.implicit || time.Since(t.marked) < bookmarkInterval {
		return nil
	}
	return c.send(t.bookmarkNotice(false))
}

func (c *client) send(n notice) error { return c.stream.SendText(encode(n)) } //nolint:wrapcheck // as above
