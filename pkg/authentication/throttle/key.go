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
	// accountFree is the number of failures of an account, a session or a known device after which further attempts are
	// delayed. The name of a user that does not exist also counts as an account.
	accountFree            = 5
	accountForgiveInterval = time.Hour
	addressForgiveInterval = time.Minute

	// nameHashBytes is the length of the hash of an unknown user name, in bytes. The hash is part of the name of a
	// KubeVisionLoginThrottle.
	nameHashBytes = 16
	// countersPerUser bounds the number of counters for known devices of one user. It also bounds the number of
	// counters for sessions of one user.
	countersPerUser = 20
)

// key identifies a counter of failures. Its policy determines how these failures delay further attempts.
type key struct {
	name   string
	policy Policy
	labels map[string]string
	owner  []metav1.OwnerReference
	spec   kubevisionv1alpha1.KubeVisionLoginThrottleSpec
}

func addressPolicy(freePerClient, clients int) Policy {
	return Policy{Free: freePerClient * clients, Forgive: addressForgiveInterval / time.Duration(clients)}
}

func accountPolicy() Policy { return Policy{Free: accountFree, Forgive: accountForgiveInterval} }

// NameOfUser returns the name of the KubeVisionLoginThrottle for a KubeVisionUser.
func NameOfUser(user string) string { return "user-" + user }

// ForgivenAt returns the time from which the KubeVisionLoginThrottle has no effect. At this time, all failures have
// expired, and spec.blockedUntil has passed.
func ForgivenAt(t *kubevisionv1alpha1.KubeVisionLoginThrottle) time.Time {
	forgiven := expiryPolicy(t).ForgivenAt(counterOf(t))
	if until := t.Spec.BlockedUntil; until != nil && until.After(forgiven) {
		return until.Time
	}
	return forgiven
}

// expiryPolicy returns a Policy that determines when the failures of a KubeVisionLoginThrottle expire. The Policy
// must not be used for delays, because its field Free may be wrong.
func expiryPolicy(t *kubevisionv1alpha1.KubeVisionLoginThrottle) Policy {
	if t.Spec.Target == kubevisionv1alpha1.ThrottleAddress {
		// AddressFree, which determines Policy.Free, is unknown here.
		return addressPolicy(0, assumedClients(t.Spec.Address))
	}
	return accountPolicy()
}

// userKey returns the key of the counter for the failures of a user.
func userKey(u *kubevisionv1alpha1.KubeVisionUser) key {
	return key{
		name: NameOfUser(u.Name), policy: accountPolicy(),
		labels: map[string]string{names.UserLabel: u.Name},
		owner:  kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleUser,
			UserName: u.Name},
	}
}

// nameKey returns the key of the counter for the failures of a name that no user has. The name is hashed, because users
// sometimes enter a password in the field for the name. The hash depends on a secret, so that a reader of the hash
// cannot find the password by trying many candidates.
func nameKey(name string, secret []byte) key {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(name))
	return key{
		name: "unknown-" + hex.EncodeToString(mac.Sum(nil)[:nameHashBytes]), policy: accountPolicy(),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleUnknownName},
	}
}

// sessionKey returns the key of the counter for wrong passwords in a session of the user.
func sessionKey(u *kubevisionv1alpha1.KubeVisionUser, session string) key {
	k := userKey(u)
	k.name = "session-" + session
	k.spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleSession,
		Session: session}
	return k
}

// deviceKey returns the key of the counter for wrong passwords from a known device of the user.
func deviceKey(u *kubevisionv1alpha1.KubeVisionUser, device string) key {
	k := userKey(u)
	k.name = "device-" + device
	k.spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleDevice, Device: device}
	return k
}

func addressKeys(address netip.Addr, freePerClient int) []key {
	networks := CountedNetworks(address)
	keys := make([]key, 0, len(networks))
	for _, n := range networks {
		shown := n.Prefix.String()
		if n.Prefix.Addr().Is4() {
			shown = n.Prefix.Addr().String()
		}
		keys = append(keys, key{
			name: "address-" + networkName(n.Prefix), policy: addressPolicy(freePerClient, n.Clients),
			spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleAddress,
				Address: shown},
		})
	}
	return keys
}

// networkName returns the part of an object name that identifies the network. For IPv4, it is the address. For IPv6, it
// is the first four groups of the address, with leading zeros. If an IPv6 network is not a /64, the prefix length
// follows.
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

func assumedClients(specAddress string) int {
	prefix, err := netip.ParsePrefix(specAddress)
	if err != nil { // For IPv4, spec.address has no prefix length.
		return singleClient
	}
	for _, n := range CountedNetworks(prefix.Addr()) {
		if n.Prefix.Bits() == prefix.Bits() {
			return n.Clients
		}
	}
	return singleClient
}
