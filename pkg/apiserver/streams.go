// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/identity"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// streamPatience is the maximum time that the server waits for the end of all streams during its shutdown.
const streamPatience = 5 * time.Second

// newTickets returns the service for tickets. Its key is derived from the signing keys, which all replicas have. Each
// replica therefore accepts the tickets of the other replicas.
func newTickets(s *state, tokens *authentication.Tokens) *authentication.Tickets {
	return &authentication.Tickets{
		MAC: token.NewMAC(s.keys, "tickets of streams"), Tokens: tokens, Client: s.client, Clock: clock.RealClock{},
	}
}

// newStreams returns a manager of streams. The manager consumes tickets when streams open, and checks sessions while
// streams are open.
func newStreams(
	o streams.Options, s *state, tokens *authentication.Tokens, tickets *authentication.Tickets,
) *streams.Manager {
	o.Work = s.work
	o.Admit = func(ctx context.Context, u user.Info, target streams.Target) error {
		return admitTicket(ctx, tickets, u, target)
	}
	o.Check = func(ctx context.Context, u user.Info) error { return checkSession(ctx, tokens, u) }
	o.Expires = func(u user.Info) time.Time {
		if p, ok := u.(*authentication.Principal); ok {
			return p.Expires
		}
		return time.Time{}
	}
	o.Host = func() streams.Cluster { return s.connections.Host() }
	o.Watched = func(c streams.Cluster) bool {
		connection, ok := c.(*clusters.Connection)
		return ok && s.verdicts != nil && s.verdicts.Watched(connection)
	}
	return streams.NewManager(o)
}

// admitTicket consumes the ticket of a request. It returns an error if the ticket was used before, has expired, or does
// not allow the stream. It returns nil if the request has no ticket.
func admitTicket(ctx context.Context, tickets *authentication.Tickets, u user.Info, target streams.Target) error {
	p, ok := u.(*authentication.Principal)
	if !ok || p.Ticket == nil {
		return nil
	}
	err := tickets.Spend(ctx, p.Ticket)
	switch {
	case errors.Is(err, authentication.ErrTicketSpent):
		return ticketError("the ticket was used before: get another one")
	case errors.Is(err, authentication.ErrTicketExpired):
		return ticketError("the ticket has expired: get another one")
	case errors.Is(err, authentication.ErrSessionEnded):
		return envelope.SessionEnded()
	case errors.Is(err, authentication.ErrTooManyTickets):
		e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, "you have opened too many streams: try again shortly")
		e.RetryAfterSeconds = int64(authentication.TicketTTL.Seconds())
		return e
	case err != nil:
		return envelope.Internal(err)
	case !p.Ticket.Allows(target.Cluster, target.Namespace, target.Pod, target.Verb):
		return ticketError("the ticket is for another stream")
	}
	return nil
}

func ticketError(message string) *envelope.Error {
	return envelope.New(dashboardv1alpha1.CodeUnauthenticated, "%s", message)
}

func acceptProvedTickets(
	prove func(*http.Request, user.Info, string) error,
) func(r *http.Request, u user.Info, code string) error {
	return func(r *http.Request, u user.Info, code string) error {
		// Browsers cannot send a code when they open a stream. They send the code when they request the ticket.
		if p, ok := u.(*authentication.Principal); ok && p.Ticket != nil && p.Ticket.Proved {
			return nil
		}
		return prove(r, u, code)
	}
}

// Terminals configures terminals and file copies.
type Terminals struct {
	// IdleTime is the time without input and output after which a terminal ends.
	IdleTime time.Duration
	// MaxTime is the maximum duration of a terminal.
	MaxTime time.Duration
	// CopyBytes bounds the size of a file copy, in bytes.
	CopyBytes int64
	// DebugImage is the container image for debug containers and for the Pods of node shells.
	DebugImage string
	// Recordings stores the recordings of terminals. If it is nil, terminals are not recorded.
	Recordings *recording.Store
}

// sessionCheck returns a function that checks whether an open stream of a user may continue. The function returns a
// streams.End if the stream must end, for example because the session has ended. It returns
// authentication.ErrUnavailable if the session cannot be read.
func sessionCheck(tokens *authentication.Tokens) func(context.Context, user.Info) error {
	return func(ctx context.Context, u user.Info) error { return checkSession(ctx, tokens, u) }
}

// checkSession checks whether a stream of the user may continue. It returns a streams.End in these cases:
//   - the session has ended
//   - the user must change the password or set up a second factor
//   - the groups of the user have changed
//
// It returns authentication.ErrUnavailable if the session cannot be read. It returns nil for a user whom kube-apiserver
// has authenticated, because this user has no session.
func checkSession(ctx context.Context, tokens *authentication.Tokens, u user.Info) error {
	before, ok := u.(*authentication.Principal)
	if !ok {
		return nil
	}
	now, err := tokens.Recheck(ctx, before)
	switch {
	case errors.Is(err, authentication.ErrUnavailable):
		return err //nolint:wrapcheck // the outage does not end the stream
	case err != nil:
		return streams.NewEnd(streams.SessionEnded, "the session has ended")
	case now.SetupRequired || now.PasswordChangeRequired:
		return streams.NewEnd(streams.SessionEnded,
			"the session must set a password or a second factor before any other request")
	case !sets.New(now.Groups...).Equal(sets.New(before.Groups...)):
		return streams.NewEnd(streams.Forbidden, "your groups have changed: connect again")
	}
	return nil
}

// longRunning returns a function that returns true for requests without a time limit. These are streams of
// KubeVision's API, and watches outside this API.
func longRunning(table *routes.Table) genericapirequest.LongRunningRequestCheck {
	watches := genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString())
	return func(r *http.Request, info *genericapirequest.RequestInfo) bool {
		if path, ok := routes.BelowRoot(r.URL.Path); ok && path != "" {
			return table.IsLongRunning(r.Method, path)
		}
		return watches(r, info)
	}
}

// watchSessions adds event handlers to the cache. When a KubeVisionUser or KubeVisionSession is updated or deleted, the
// handlers pass the impersonated name of the user (see identity.UserName) to the given function.
func watchSessions(ctx context.Context, c cache.Cache, changed func(name string)) error {
	userOf := func(object any) string {
		if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = unknown.Obj
		}
		switch o := object.(type) {
		case *kubevisionv1alpha1.KubeVisionSession:
			return identity.UserName(o.Spec.UserName)
		case *kubevisionv1alpha1.KubeVisionUser:
			return identity.UserName(o.Name)
		}
		return ""
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, updated any) { changed(userOf(updated)) },
		DeleteFunc: func(object any) { changed(userOf(object)) },
	}
	for _, kind := range []client.Object{&kubevisionv1alpha1.KubeVisionSession{},
		&kubevisionv1alpha1.KubeVisionUser{}} {
		informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err == nil {
			_, err = informer.AddEventHandler(handler)
		}
		if err != nil {
			return fmt.Errorf("watching %T for streams: %w", kind, err)
		}
	}
	return nil
}
