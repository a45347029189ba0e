// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// next returns the next message of a topic without sending it.
func next(t *testing.T, of *topic) []byte {
	t.Helper()
	b := of.feed.collect(of.cursor, of.resumeVersion, of.selects)
	message, release, err := of.client.message(of, b.events, b.revision)
	if err != nil {
		t.Fatal(err)
	}
	release()
	return message
}

// TestSharedMessages verifies that clients at the same position of a feed get the same encoded message. A client gets a
// separate message if the client may not list all objects, has requested summaries, or is at another position.
func TestSharedMessages(t *testing.T) {
	w := newWorld()
	follow := func() *topic {
		_, followed := w.follow(newSlowStream(budget.New(1 << 20)))
		return followed
	}
	one, another, summary, partial, renamed := follow(), follow(), follow(), follow(), follow()
	summary.summary = true
	partial.scope = scopedlist.Scope{Namespaces: map[string]bool{"other": true}}
	renamed.resource = "other"
	w.updateObject("a", 10)
	late := follow()
	w.updateObject("b", 20)

	first := next(t, one)
	if !strings.Contains(string(first), `"name":"a"`) || !strings.Contains(string(first), `"name":"b"`) {
		t.Errorf("the message is %s", first)
	}
	if second := next(t, another); &second[0] != &first[0] {
		t.Error("the message is encoded again")
	}
	own := string(next(t, summary))
	if strings.Contains(own, `"data":`) || !strings.Contains(own, `"name":"b"`) {
		t.Errorf("a summary is %s", own)
	}
	if own := next(t, partial); len(own) != 0 {
		t.Errorf("a client without rights gets %s", own)
	}
	if own := next(t, renamed); !strings.Contains(string(own), `"resource":"other"`) {
		t.Errorf("the message of another topic is %s", own)
	}
	next(t, one)
	if own := next(t, late); strings.Contains(string(own), `"name":"a"`) {
		t.Errorf("a client gets an event again: %s", own)
	}
	next(t, one)
	w.updateObject("b", 30)
	if again := next(t, one); !strings.Contains(string(again), strings.Repeat("x", 30)) {
		t.Errorf("the message after a change is %s", again)
	}
}

func TestLargeMessagesAreNotKept(t *testing.T) {
	w := newWorld()
	_, followed := w.follow(newSlowStream(budget.New(64 << 20)))
	w.updateObject("a", maxShared)
	if message := next(t, followed); len(message) < maxShared || w.feed.objectMessage.last != nil {
		t.Errorf("a message of %d bytes is kept", len(message))
	}
	var s sharedMessage // the size of a message is an estimate before it is encoded
	_, release, err := s.getOrEncode(messageKey{}, nil, 1, func() []byte { return make([]byte, maxShared+1) })
	if err != nil || s.last != nil {
		t.Errorf("a message that is larger than expected is kept (%v)", err)
	}
	release()
}

// TestSharedMessagesAreChargedOnce verifies that a message to many watch clients counts only once toward the memory
// limit for shared messages. If this limit is reached, a message must count toward the limit of the user who
// receives the message.
func TestSharedMessagesAreChargedOnce(t *testing.T) {
	const size, clients = 100 << 10, 100
	w, total := newWorld(), budget.NewShared(budget.Options{Total: 4 * size, Step: 1})
	var topics []*topic
	for range clients {
		_, followed := w.follow(newSlowStream(total))
		topics = append(topics, followed)
	}
	w.updateObject("a", size)
	hold := func(of *topic) func() {
		b := of.feed.collect(of.cursor, of.resumeVersion, of.selects)
		_, release, err := of.client.message(of, b.events, b.revision)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	var releases []func()
	for _, of := range topics[1:] {
		releases = append(releases, hold(of))
	}
	once := total.Used()
	if once < size || once > 2*size {
		t.Errorf("%d bytes are charged for a message of %d that %d clients hold", once, size, clients)
	}
	w.updateObject("a", size+1) // the shared messages have no memory left for this message
	releases = append(releases, hold(topics[0]))
	if used := total.Used(); used < once+size {
		t.Errorf("%d bytes are charged for two messages", used)
	}
	for _, release := range releases {
		release()
	}
	if used := total.Used(); used != 0 {
		t.Errorf("%d bytes are charged for no message", used)
	}
}
