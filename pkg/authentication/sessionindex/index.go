// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sessionindex indexes KubeVisionSessions by user and by the network of the client, and selects the sessions to
// end if there are too many.
package sessionindex

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// Limits bounds the number of KubeVisionSessions. Expired sessions count until they are deleted.
type Limits struct {
	// PerUser bounds the number of sessions of one user.
	PerUser int
	// Total bounds the number of sessions of all users.
	Total int
}

const (
	// DefaultPerUser is the default of Limits.PerUser.
	DefaultPerUser = 20
	// DefaultTotal is the default of Limits.Total.
	DefaultTotal = 20_000
)

// Session is an entry of the Index.
type Session struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	UserName        string
	UserUID         types.UID
	// LastUsed is the time of the last renewal or, if there was none, of the login.
	LastUsed time.Time

	network netip.Prefix
}

// Index contains all sessions. The zero value is ready for use. All methods may be called concurrently.
type Index struct {
	mu       sync.RWMutex
	names    map[string]types.UID
	users    map[types.UID]map[string]Session
	networks map[netip.Prefix]int
}

// Handler returns an informer event handler that updates the index.
func (i *Index) Handler() toolscache.ResourceEventHandler {
	observe := func(object any) {
		if s, ok := object.(*kubevisionv1alpha1.KubeVisionSession); ok {
			i.Observe(s)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    observe,
		UpdateFunc: func(_, updated any) { observe(updated) },
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if s, ok := object.(*kubevisionv1alpha1.KubeVisionSession); ok {
				i.mu.Lock()
				defer i.mu.Unlock()
				i.remove(s.Name)
			}
		},
	}
}

// Observe adds or updates a session.
func (i *Index) Observe(s *kubevisionv1alpha1.KubeVisionSession) {
	seen := Session{
		Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion, UserName: s.Spec.UserName,
		UserUID:  s.Spec.UserUID,
		LastUsed: s.CreationTimestamp.Time,
	}
	if s.Spec.RotationTime != nil {
		seen.LastUsed = s.Spec.RotationTime.Time
	}
	if address, err := netip.ParseAddr(s.Spec.Client.Address); err == nil {
		seen.network = throttle.ClientNetwork(address)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.remove(s.Name)
	if i.names == nil {
		i.names, i.users = map[string]types.UID{}, map[types.UID]map[string]Session{}
		i.networks = map[netip.Prefix]int{}
	}
	i.names[s.Name] = seen.UserUID
	if i.users[seen.UserUID] == nil {
		i.users[seen.UserUID] = map[string]Session{}
	}
	i.users[seen.UserUID][s.Name] = seen
	if seen.network.IsValid() {
		i.networks[seen.network]++
	}
}

func (i *Index) remove(name string) {
	uid, ok := i.names[name]
	if !ok {
		return
	}
	network := i.users[uid][name].network
	delete(i.names, name)
	delete(i.users[uid], name)
	if len(i.users[uid]) == 0 {
		delete(i.users, uid)
	}
	i.networks[network]--
	if i.networks[network] <= 0 {
		delete(i.networks, network)
	}
}

// Has returns true if the index contains the session with the name.
func (i *Index) Has(name string) bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	_, ok := i.names[name]
	return ok
}

// HasSessionFrom returns true if the index contains a session that was started from the address. For IPv6, any address
// in the same /64 is sufficient.
func (i *Index) HasSessionFrom(address netip.Addr) bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.networks[throttle.ClientNetwork(address)] > 0
}

// Excess returns sessions that must end because the user starts the given number of new sessions. The result may be
// incomplete. After the returned sessions have ended, another call returns further sessions, if there are any.
func (i *Index) Excess(user types.UID, newSessions int, limits Limits) []Session {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if n := len(i.users[user]) + newSessions - limits.PerUser; n > 0 {
		return i.oldest(user, n)
	}
	if len(i.names)+newSessions <= limits.Total {
		return nil
	}
	most := user
	for uid, sessions := range i.users {
		if len(sessions) > len(i.users[most]) {
			most = uid
		}
	}
	return i.oldest(most, 1) // The session controller calls Excess again and ends further sessions.
}

// oldest returns the n least recently used sessions of a user. It sorts sessions that were used at the same time by
// name. Therefore, all replicas select the same sessions.
func (i *Index) oldest(user types.UID, n int) []Session {
	all := make([]Session, 0, len(i.users[user]))
	for _, s := range i.users[user] {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Session) int {
		return cmp.Or(a.LastUsed.Compare(b.LastUsed), strings.Compare(a.Name, b.Name))
	})
	return all[:min(n, len(all))]
}
