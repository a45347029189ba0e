// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// accountFree is the number of wrong passwords of an account, or of an unknown name, that cause no delay.
	accountFree = 5
	// accountForgive is the time after which one failure of an account is forgiven.
	accountForgive = time.Hour
	// addressForgive is the time after which one failure of an address is forgiven.
	addressForgive = time.Minute

	// nameBytes is the length of the hash of an unknown name.
	nameBytes = 16
	// countersPerUser bounds the known devices of a user, and the sessions of a user, whose failures are counted.
	countersPerUser = 20
)

// key identifies a counter of failures.
type key struct {
	name   string
	policy Policy
	labels map[string]string
	owner  []metav1.OwnerReference
	spec   kubevisionv1alpha1.KubeVisionLoginThrottleSpec
}

// addressPolicy returns the policy for the failures of a network that counts as a number of clients.
func addressPolicy(free, clients int) Policy {
	return Policy{Free: free * clients, Forgive: addressForgive / time.Duration(clients)}
}

func accountPolicy() Policy { return Policy{Free: accountFree, Forgive: accountForgive} }

// NameOfUser returns the name of the KubeVisionLoginThrottle of a KubeVisionUser.
func NameOfUser(user string) string { return "user-" + user }

// ForgivenAt returns the time at which all failures of a throttle are forgiven, or spec.blockedUntil if it is later.
func ForgivenAt(t *kubevisionv1alpha1.KubeVisionLoginThrottle) time.Time {
	forgiven := policyOf(t).ForgivenAt(counterOf(t))
	if until := t.Spec.BlockedUntil; until != nil && until.After(forgiven) {
		return until.Time
	}
	return forgiven
}

// policyOf returns the policy that determines when the failures of a throttle are forgiven. For addresses, its number
// of free failures is not set.
func policyOf(t *kubevisionv1alpha1.KubeVisionLoginThrottle) Policy {
	if t.Spec.Target == kubevisionv1alpha1.ThrottleAddress {
		return addressPolicy(0, networkClients(t.Spec.Address))
	}
	return accountPolicy()
}

// userKey returns the key of the counter of a user's failures.
func userKey(u *kubevisionv1alpha1.KubeVisionUser) key {
	return key{
		name: NameOfUser(u.Name), policy: accountPolicy(),
		labels: map[string]string{names.UserLabel: u.Name},
		owner:  kubevisionv1alpha1.OwnerReferences("KubeVisionUser", u),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleUser,
			UserName: u.Name},
	}
}

// nameKey returns the key of the counter for a name that no user has. The name is hashed with a secret, because it may
// be a password in the wrong field, and because an attacker must not find another name with the same counter.
func nameKey(name string, secret []byte) key {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(name))
	return key{
		name: "unknown-" + hex.EncodeToString(mac.Sum(nil)[:nameBytes]), policy: accountPolicy(),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleUnknownName},
	}
}

// sessionKey returns the key of the counter of wrong passwords that a session sends for its user.
func sessionKey(u *kubevisionv1alpha1.KubeVisionUser, session string) key {
	k := userKey(u)
	k.name = "session-" + session
	k.spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleSession,
		Session: session}
	return k
}

// deviceKey returns the key of the counter of wrong passwords that a known device sends for a user.
func deviceKey(u *kubevisionv1alpha1.KubeVisionUser, device string) key {
	k := userKey(u)
	k.name = "device-" + device
	k.spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleDevice, Device: device}
	return k
}

// addressKeys returns the keys of the counters for a client address and its networks.
func addressKeys(address netip.Addr, free int) []key {
	networks := CountedNetworks(address)
	keys := make([]key, 0, len(networks))
	for _, n := range networks {
		shown := n.Prefix.String()
		if n.Prefix.Addr().Is4() {
			shown = n.Prefix.Addr().String()
		}
		keys = append(keys, key{
			name: "address-" + networkName(n.Prefix), policy: addressPolicy(free, n.Clients),
			spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleAddress,
				Address: shown},
		})
	}
	return keys
}

// networkName returns a network as a part of an object name. An IPv6 network is written as the first four groups of its
// address, and its prefix length unless it is a /64. The groups are not abbreviated, because a name must not end in a
// separator.
func networkName(prefix netip.Prefix) string {
	if prefix.Addr().Is4() {
		return prefix.Addr().String()
	}
	name := strings.ReplaceAll(prefix.Addr().StringExpanded()[:len("0000:0000:0000:0000")], ":", "-")
	if prefix.Bits() != clientBits6 {
		name += fmt.Sprintf("-%d", prefix.Bits())
	}
	return name
}

// networkClients returns the number of clients in a network. It parses the text form that addressKeys uses.
func networkClients(shown string) int {
	prefix, err := netip.ParsePrefix(shown)
	if err != nil {
		return clientsOfClient
	}
	for _, n := range CountedNetworks(prefix.Addr()) {
		if n.Prefix.Bits() == prefix.Bits() {
			return n.Clients
		}
	}
	return clientsOfClient
}
