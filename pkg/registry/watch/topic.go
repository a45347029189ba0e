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

// topicName is the name of a topic: cluster:resource or cluster:resource:namespace.
type topicName struct{ cluster, resource, namespace string }

const topicParts = 3

// parseTopic parses a topic. It ignores a bookmark after "@".
func parseTopic(text string) (topicName, error) {
	text, _, _ = strings.Cut(text, "@")
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

// topic is one subscription of a client.
type topic struct {
	topicName

	client *client
	feed   *feed
	target objectref.Target
	// epoch identifies the kind and the registration in bookmarks.
	epoch string
	// summary is true if metadata are sent instead of objects.
	summary bool
	// gathered is true if the client has no subscriptions. The client then gets at most one event per second, which
	// tells the client to list again.
	gathered bool

	// unreviewed is true if the right must be reviewed, even if there is nothing to send.
	unreviewed atomic.Bool

	// The other fields are used only by the sending goroutine.

	// cursor is the sequence number of the last entry that was sent. seen is the version up to which another replica
	// has sent changes.
	cursor uint64
	seen   string
	// initial contains the remaining objects that are sent before the changes.
	initial *initialObjects
	scope   scopedlist.Scope
	// terms are the validities of the reviews on the host and on the cluster.
	terms [2]verdicts.Term
	// failing is the time of the first failed review since the last successful one.
	failing time.Time
	// starved is the first time at which the budget had no memory for the current message.
	starved time.Time
	// waiting is true if a wake for the next event is scheduled.
	waiting bool
	// sent is the time of the last event. marked and version are the time and the version of the last bookmark.
	sent, marked time.Time
	version      string
}

// review determines the namespaces in which the caller may list the objects of the topic.
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

// isReviewed returns true if the last review is still valid.
func (p *Provider) isReviewed(t *topic) bool {
	return !t.unreviewed.Load() && p.Verdicts.InForce(t.terms[0]) && p.Verdicts.InForce(t.terms[1])
}

// selects returns true if an object belongs to the topic and the caller may list it.
func (t *topic) selects(namespace, name string) bool {
	return (t.target.Namespace == "" || t.target.Namespace == namespace) && t.scope.Has(namespace, name)
}

// isWhole returns true if the client gets every event of the feed after its cursor.
func (t *topic) isWhole() bool {
	return t.target.Namespace == "" && t.scope.All && t.seen == "" && !t.gathered
}
