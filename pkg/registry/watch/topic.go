// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// topicName is the name of a topic. As text, it is cluster:resource or cluster:resource:namespace.
type topicName struct{ cluster, resource, namespace string }

const topicParts = 3

func parseTopic(text string) (topicName, error) {
	text, _, _ = strings.Cut(text, "@") // a bookmark may follow
	text = strings.Clone(text)          // without the copy, the name would keep a long bookmark in memory
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > topicParts {
		return topicName{}, envelope.Invalid("topics", "a topic is cluster:resource or cluster:resource:namespace")
	}
	name := topicName{cluster: parts[0], resource: parts[1]}
	if len(parts) == topicParts {
		name.namespace = parts[2]
	}
	return name, nil
}

func (t topicName) String() string {
	if t.namespace == "" {
		return t.cluster + ":" + t.resource
	}
	return t.cluster + ":" + t.resource + ":" + t.namespace
}

// topic is a subscription of a client to the changes of one resource of one cluster, in all namespaces or in one.
type topic struct {
	topicName

	client *client
	feed   *feed
	target objectref.Target
	// epoch is a hash of the resource and of the registered cluster. A bookmark is valid only if it has the same epoch.
	epoch string
	// summary is true if the metadata of objects are sent instead of whole objects.
	summary bool
	// implicit is true if the client has not subscribed to the topic. The server has added the topic, because a request
	// of the same login session has listed the objects. The client gets at most one event in each implicitInterval. The
	// event only tells the client to list the objects again.
	implicit bool

	// unreviewed is true if the access review must be repeated before the next event, even if the last review is still
	// valid.
	unreviewed atomic.Bool

	// The other fields are used only by the goroutine of client.run.

	// cursor is the position in the feed up to which changes were sent to the client. It is the sequence number of a
	// feed entry.
	cursor uint64
	// resumeVersion is the ResourceVersion of the bookmark with which the client has resumed the topic. It is empty if
	// the client did not send a bookmark.
	resumeVersion string
	// initial contains the initial objects that were not yet sent, or is nil.
	initial *initialObjects
	scope   scopedlist.Scope
	// terms contains the periods in which the access reviews are valid: first on the host cluster, and second on the
	// cluster of the topic.
	terms [2]verdicts.Term
	// failing is the time of the first failed access review after the last successful one, or zero.
	failing time.Time
	// outOfMemorySince is the time at which the next message began to wait for memory. It is zero if the message does
	// not wait.
	outOfMemorySince time.Time
	// wakeScheduled is true while a timer runs that wakes the client.
	wakeScheduled bool
	// sent is the time at which the last event was sent.
	sent time.Time
	// marked is the time at which the last bookmark was sent.
	marked time.Time
	// version is the ResourceVersion up to which all changes were sent to the client.
	version string
}

// review determines the namespaces in which u may list the objects of t, and stores them in t.scope. It returns an
// error if u may list no objects, or if an access review fails.
func (p *Provider) review(ctx context.Context, t *topic, u user.Info) error {
	//nolint:contextcheck // the watch of a scope outlives the request
	terms := [2]verdicts.Term{p.Verdicts.Term(p.Access.Connections.Host()), p.Verdicts.Term(t.feed.connection)}
	caller, err := p.Access.ClusterByName(ctx, u, t.cluster)
	if err != nil {
		return err //nolint:wrapcheck // it has its code
	}
	if caller.Connection() != t.feed.connection {
		return envelope.New(dashboardv1alpha1.CodeClusterNotFound, "the connection to cluster %q was replaced: "+
			"subscribe again", t.cluster)
	}
	scope, err := caller.Scope(ctx, t.target, t.feed.subscription.Current())
	if err != nil {
		return err //nolint:wrapcheck // it has its code
	}
	if scope.Empty() {
		return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not list %s", t.topicName)
	}
	t.scope, t.terms = scope, terms
	return nil
}

// isReviewed returns true if the last access review of t is still valid.
func (p *Provider) isReviewed(t *topic) bool {
	return !t.unreviewed.Load() && p.Verdicts.InForce(t.terms[0]) && p.Verdicts.InForce(t.terms[1])
}

// selects returns true if the object with this namespace and name belongs to t, and the caller may list it.
func (t *topic) selects(namespace, name string) bool {
	return (t.target.Namespace == "" || t.target.Namespace == namespace) && t.scope.Has(namespace, name)
}

func (t *topic) canShareMessages() bool {
	// Clients that get every event of the feed get the same messages.
	return t.target.Namespace == "" && t.scope.All && t.resumeVersion == "" && !t.implicit
}
