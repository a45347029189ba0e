// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// slowStream is a stream to a slow client. SendText blocks until the test acknowledges the message.
type slowStream struct {
	account *budget.Account
	acks    chan struct{}
	sent    chan string
}

func newSlowStream(total *budget.Budget) *slowStream {
	return &slowStream{account: total.Account("jane", 0), acks: make(chan struct{}), sent: make(chan string, 100)}
}

func (s *slowStream) SendText(data []byte) error {
	s.sent <- string(data)
	<-s.acks
	return nil
}

func (*slowStream) Go(f func())                { go f() }
func (*slowStream) User() user.Info            { return &user.DefaultInfo{Name: "jane"} }
func (*slowStream) Context() context.Context   { return context.Background() }
func (s *slowStream) Account() *budget.Account { return s.account }

func (w *world) updateObject(name string, size int) {
	c := w.change(name, false)
	c.Object.JSON = fmt.Appendf(nil, `{"version":%q,"data":%q}`, c.Version, strings.Repeat("x", size))
	w.feed.deliver(changeOf(c))
}

func (w *world) follow(s *slowStream) (*client, *topic) {
	c := &client{stream: s, topics: map[topicName]*topic{}}
	t := &topic{
		topicName: topicName{cluster: "c", resource: "r"}, client: c, feed: w.feed, scope: scopedlist.Scope{All: true},
		cursor: w.feed.head(), marked: time.Now().Add(time.Hour), // marked in the future suppresses bookmarks
	}
	return c, t
}

// TestSlowClientsAreCounted verifies the memory that a slow watch client uses:
//   - Only one message for the client is in memory.
//   - The message counts towards the memory limit.
//   - The next messages contain only the last version of each object.
func TestSlowClientsAreCounted(t *testing.T) {
	const size = 1 << 20
	w, total := newWorld(), budget.New(16*size)
	s := newSlowStream(total)
	c, followed := w.follow(s)
	for i := range 8 {
		w.updateObject(fmt.Sprint("o", i), size)
	}
	done := make(chan error)
	go func() {
		for {
			more, err := c.sendBatch(followed)
			if err != nil || !more {
				done <- err
				return
			}
		}
	}()
	first := <-s.sent
	if used := total.Used(); used < size || used > 2*size || len(first) > 2*size {
		t.Errorf("%d bytes are counted for a message of %d", used, len(first))
	}
	for i := range 8 { // changes during the write
		w.updateObject(fmt.Sprint("o", i), size+1)
	}
	s.acks <- struct{}{}
	for range 8 {
		message := <-s.sent
		var e struct{ Object struct{ Data string } }
		if err := json.Unmarshal([]byte(message), &e); err != nil || len(e.Object.Data) != size+1 {
			t.Errorf("an object has %d bytes (%v)", len(e.Object.Data), err)
		}
		s.acks <- struct{}{}
	}
	if err := <-done; err != nil || total.Used() != 0 {
		t.Errorf("%d bytes are still counted (%v)", total.Used(), err)
	}
}

// TestStarvingClient verifies that a watch client loses no event while there is no memory for the next message. If the
// memory is missing for too long, the watch ends with an error.
func TestStarvingClient(t *testing.T) {
	const size = 1 << 20
	w := newWorld()
	s := newSlowStream(budget.New(size)) // One user may use half of the budget.
	close(s.acks)
	c, followed := w.follow(s)
	w.updateObject("o", size)
	if more, err := c.sendBatch(followed); err != nil || more || len(s.sent) > 0 {
		t.Errorf("%d messages are sent (%v)", len(s.sent), err)
	}
	followed.outOfMemorySince = time.Now().Add(-2 * memoryPatience)
	if _, err := c.sendBatch(followed); err == nil {
		t.Error("the topic does not end")
	}
	s.account = budget.New(16*size).Account("jane", 0)
	if _, err := c.sendBatch(followed); err != nil || len(s.sent) != 1 || !followed.outOfMemorySince.IsZero() {
		t.Errorf("%d messages are sent (%v)", len(s.sent), err)
	}
	c.close() // so that no wake remains scheduled
}

// TestInitialObjects verifies how a watch client gets the objects that existed when the watch began:
//   - Each object is sent once, even if the objects of one readcache.Group need several messages.
//   - If the read cache drops the objects before all of them are sent, no more objects are sent.
func TestInitialObjects(t *testing.T) {
	group := &readcache.Group{}
	for i := range 5 {
		group.Objects = append(group.Objects, &readcache.Object{
			Namespace: "n", Name: strconv.Itoa(i), JSON: bytes.Repeat([]byte("x"), messageBytes/2),
		})
	}
	all := func(string, string) bool { return true }
	i := newInitialObjects(readcache.View{}, readcache.Groups{{group, group}})
	var names strings.Builder
	for {
		events, last, ok := i.take(all)
		if !ok || len(events) > 2 {
			t.Fatalf("%d events", len(events))
		}
		for _, e := range events {
			names.WriteString(e.name)
		}
		if last {
			break
		}
	}
	if names.String() != "0123401234" {
		t.Errorf("the objects are %s", names.String())
	}
	i = newInitialObjects(readcache.View{}, readcache.Groups{{group}})
	i.drop()
	if _, _, ok := i.take(all); ok || i.groups != nil {
		t.Error("the objects are not let go")
	}
}

// TestOneLineForEachEvent verifies that a hostile cluster cannot forge an event with line breaks in an object. Each
// event is one line of a message.
func TestOneLineForEachEvent(t *testing.T) {
	forged := `{"type":"DELETED","clusterId":"production","resource":"pods","namespace":"shop","name":"web-0"}`
	o := &readcache.Object{Namespace: "n", Name: "evil", JSON: []byte("{\"spec\":[1,\n" + forged + "\r\n]}")}
	followed := &topic{topicName: topicName{cluster: "evil", resource: "pods"}}
	message := followed.appendEvent(nil, event{kind: added, namespace: "n", name: "evil", object: o})
	message = followed.appendEvent(message, event{kind: deleted, namespace: "n", name: "other"})
	lines := bytes.Split(message, []byte{'\n'})
	if len(lines) != 2 || bytes.ContainsRune(message, '\r') {
		t.Fatalf("there are %d lines for two events: %s", len(lines), message)
	}
	for _, line := range lines {
		var f receivedEvent
		if err := json.Unmarshal(line, &f); err != nil || f.ClusterID != "evil" {
			t.Errorf("the event is %s (%v)", line, err)
		}
	}
}
