// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

const (
	// TicketTTL is the lifetime of a ticket.
	TicketTTL = 30 * time.Second
	// ticketLeeway is the tolerated difference between the clocks of two replicas.
	ticketLeeway = 5 * time.Second
	// maxTicketLength bounds the length of a ticket in bytes. A ticket contains the names of the user and the session,
	// and up to three other names.
	maxTicketLength = 2048
	ticketIDBytes   = 12
)

var (
	// ErrTicketSpent is returned for a ticket that was used before.
	ErrTicketSpent = errors.New("the ticket was used before")
	// ErrTicketExpired is returned for a genuine ticket that has expired.
	ErrTicketExpired = errors.New("the ticket has expired")
	// ErrTooManyTickets is returned if a session has used too many tickets in a short time. The session object stores
	// each used ticket until it expires, so that no ticket is used twice. The number of stored tickets is limited.
	ErrTooManyTickets = errors.New("too many tickets of the session were used")

	errTicket = errors.New("the ticket is not genuine")
)

// Ticket is the content of a ticket. A ticket is a one-time credential with which a client opens one stream. Browsers
// send it in the query, because they cannot set headers on a WebSocket.
type Ticket struct {
	ID      string `json:"i"`
	Session string `json:"s"`
	User    string `json:"u"`
	UserUID string `json:"d"`
	Expires int64  `json:"x"`
	// Cluster is the only cluster in which the ticket may open a stream. If it is empty, any cluster is allowed.
	Cluster string `json:"c,omitempty"`
	// Namespace is the only namespace in which the ticket may open a stream. If it is empty, any namespace is allowed.
	Namespace string `json:"n,omitempty"`
	// Pod is the name of the only Pod to which the ticket may open a stream. If it is empty, any Pod is allowed.
	Pod string `json:"p,omitempty"`
	// Verb is the only kind of stream that the ticket may open, for example logs or exec. If it is empty, any kind is
	// allowed.
	Verb string `json:"v,omitempty"`
	// Proved is true if the client sent a fresh code of the second factor when it requested the ticket. The stream that
	// the ticket opens then needs no further code.
	Proved bool `json:"f,omitempty"`
}

// Allows returns true if the restrictions of the ticket allow a stream with the given properties.
func (t *Ticket) Allows(cluster, namespace, pod, verb string) bool {
	for _, pair := range [][2]string{
		{t.Cluster, cluster}, {t.Namespace, namespace}, {t.Pod, pod}, {t.Verb, verb},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return true
}

// Tickets issues and verifies tickets. A ticket is authenticated by a MAC. Therefore, nothing is stored when it is
// issued. When a ticket is used, its ID is recorded in the session object, which all replicas share.
type Tickets struct {
	MAC    *token.MAC
	Tokens *Tokens
	// Client reads and writes KubeVisionSessions without a cache.
	Client client.Client
	Clock  clock.PassiveClock
}

// Issue returns a ticket with which p can open one stream. It copies the fields Cluster, Namespace, Pod, Verb and
// Proved from the template. It sets the other fields itself.
func (t *Tickets) Issue(p *Principal, template Ticket) (string, error) {
	id := make([]byte, ticketIDBytes)
	if _, err := rand.Read(id); err != nil {
		return "", fmt.Errorf("reading randomness for a ticket: %w", err)
	}
	out := template
	out.ID, out.Session = hex.EncodeToString(id), p.Session
	out.User, out.UserUID = p.User.Name, string(p.User.UID)
	out.Expires = t.Clock.Now().Add(TicketTTL).Unix()
	text, err := json.Marshal(out)
	if err != nil {
		return "", fmt.Errorf("encoding a ticket: %w", err)
	}
	code, err := t.MAC.Sum(text)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode(text) + "." + encode(code), nil
}

// Authenticate returns the user of a ticket. It does not invalidate the ticket. The caller must therefore call Spend
// before it acts for the user. Authenticate returns ErrTicketExpired for an expired ticket, and other errors for an
// invalid ticket or session.
func (t *Tickets) Authenticate(ctx context.Context, raw string) (*Principal, error) {
	ticket, err := t.parse(raw)
	if err != nil {
		return nil, err
	}
	if t.Clock.Now().After(time.Unix(ticket.Expires, 0).Add(ticketLeeway)) {
		return nil, ErrTicketExpired
	}
	p, err := t.Tokens.inSession(ctx, ticket.Session, ticket.UserUID, ticket.User)
	if err != nil {
		return nil, err
	}
	p.Ticket = ticket
	return p, nil
}

func (t *Tickets) parse(raw string) (*Ticket, error) {
	body, code, ok := strings.Cut(raw, ".")
	if !ok || len(raw) > maxTicketLength {
		return nil, errTicket
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(body)
	sum, err2 := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || err2 != nil || !t.MAC.Verify(text, sum) {
		return nil, errTicket
	}
	ticket := &Ticket{}
	if err := json.Unmarshal(text, ticket); err != nil {
		return nil, errTicket
	}
	return ticket, nil
}

// Spend invalidates a ticket on all replicas. It returns these errors:
//   - ErrTicketSpent if the ticket was used before
//   - ErrTicketExpired if the ticket has expired
//   - ErrTooManyTickets if the session has used too many tickets
//   - ErrSessionEnded if the session has ended
func (t *Tickets) Spend(ctx context.Context, ticket *Ticket) error {
	return retry.RetryOnConflict(conflictBackoff(), func() error { return t.spendOnce(ctx, ticket) })
}

func (t *Tickets) spendOnce(ctx context.Context, ticket *Ticket) error {
	s := &kubevisionv1alpha1.KubeVisionSession{}
	err := t.Client.Get(ctx, types.NamespacedName{Name: ticket.Session}, s)
	if apierrors.IsNotFound(err) {
		return ErrSessionEnded
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	now, same := t.Clock.Now(), func(spent kubevisionv1alpha1.SpentTicket) bool { return spent.ID == ticket.ID }
	expires := time.Unix(ticket.Expires, 0)
	kept := slices.DeleteFunc(s.Spec.SpentTickets, func(spent kubevisionv1alpha1.SpentTicket) bool {
		// The record is kept until no replica accepts the ticket, even with the largest clock difference.
		return now.After(spent.ExpirationTime.Add(2 * ticketLeeway))
	})
	switch {
	case !s.DeletionTimestamp.IsZero():
		return ErrSessionEnded
	case slices.ContainsFunc(kept, same):
		return ErrTicketSpent
	case now.After(expires.Add(ticketLeeway)):
		return ErrTicketExpired
	case len(kept) >= kubevisionv1alpha1.MaxSpentTickets:
		return ErrTooManyTickets
	}
	kept = append(kept, kubevisionv1alpha1.SpentTicket{ID: ticket.ID, ExpirationTime: metav1.NewTime(expires)})
	s.Spec.SpentTickets = kept
	if err := t.Client.Update(ctx, s); err != nil {
		if apierrors.IsNotFound(err) {
			return ErrSessionEnded
		}
		return fmt.Errorf("spending a ticket: %w", err)
	}
	return nil
}
