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
	// accountFree is how many wrong passwords an account, or a name that is nobody's, is allowed at no cost.
	accountFree = 5
	// accountForgive takes one of them away.
	accountForgive = time.Hour
	// addressForgive takes one failure of an address away.
	addressForgive = time.Minute

	// nameBytes is how much of an unknown name's hash is kept.
	nameBytes = 16
	// countersPerUser is how many known devices, and how many sessions, of a user have their failures counted.
	countersPerUser = 20
)

// key is something whose failures are counted.
type key struct {
	name   string
	policy Policy
	labels map[string]string
	owner  []metav1.OwnerReference
	spec   kubevisionv1alpha1.KubeVisionLoginThrottleSpec
}

// addressPolicy allows a network as much as so many clients.
func addressPolicy(free, clients int) Policy {
	return Policy{Free: free * clients, Forgive: addressForgive / time.Duration(clients)}
}

func accountPolicy() Policy { return Policy{Free: accountFree, Forgive: accountForgive} }

// NameOfUser is the name of the KubeVisionLoginThrottle of a KubeVisionUser.
func NameOfUser(user string) string { return "user-" + user }

// Forgiven is when a throttle counts nothing any more.
func Forgiven(t *kubevisionv1alpha1.KubeVisionLoginThrottle) time.Time {
	forgiven := policyOf(t).Forgiven(counterOf(t))
	if until := t.Spec.BlockedUntil; until != nil && until.After(forgiven) {
		return until.Time
	}
	return forgiven
}

// policyOf is how the failures of a throttle are forgiven. It does not say how many are free.
func policyOf(t *kubevisionv1alpha1.KubeVisionLoginThrottle) Policy {
	if t.Spec.Target == kubevisionv1alpha1.ThrottleAddress {
		return addressPolicy(0, clientsOf(t.Spec.Address))
	}
	return accountPolicy()
}

// userKey counts the failures of a KubeVisionUser.
func userKey(u *kubevisionv1alpha1.KubeVisionUser) key {
	return key{
		name: NameOfUser(u.Name), policy: accountPolicy(),
		labels: map[string]string{names.UserLabel: u.Name},
		owner: []metav1.OwnerReference{{
			APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: "KubeVisionUser", Name: u.Name, UID: u.UID,
		}},
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleUser, UserName: u.Name},
	}
}

// nameKey counts the failures of a name that is nobody's. The name is hashed with a secret: it may be a password in the wrong field, and nobody
// must be able to find another name that is counted with it.
func nameKey(name string, secret []byte) key {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(name))
	return key{
		name: "unknown-" + hex.EncodeToString(mac.Sum(nil)[:nameBytes]), policy: accountPolicy(),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleUnknownName},
	}
}

// sessionKey counts the wrong passwords that a user gave in a session.
func sessionKey(u *kubevisionv1alpha1.KubeVisionUser, session string) key {
	k := userKey(u)
	k.name = "session-" + session
	k.spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleSession, Session: session}
	return k
}

// deviceKey counts the wrong passwords that a known device of a user gave.
func deviceKey(u *kubevisionv1alpha1.KubeVisionUser, device string) key {
	k := userKey(u)
	k.name = "device-" + device
	k.spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleDevice, Device: device}
	return k
}

// addressKeys count the failures of a client address, and of the networks that it belongs to.
func addressKeys(address netip.Addr, free int) []key {
	networks := NetworksOf(address)
	keys := make([]key, 0, len(networks))
	for _, n := range networks {
		shown := n.Prefix.String()
		if n.Prefix.Addr().Is4() {
			shown = n.Prefix.Addr().String()
		}
		keys = append(keys, key{
			name: "address-" + nameOf(n.Prefix), policy: addressPolicy(free, n.Clients),
			spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleAddress, Address: shown},
		})
	}
	return keys
}

// nameOf is a network in the name of an object: of IPv6 the first four groups, written out, since a name may not end in a colon's stand-in,
// and the length of a larger network.
func nameOf(prefix netip.Prefix) string {
	if prefix.Addr().Is4() {
		return prefix.Addr().String()
	}
	name := strings.ReplaceAll(prefix.Addr().StringExpanded()[:len("0000:0000:0000:0000")], ":", "-")
	if prefix.Bits() != clientBits6 {
		name += fmt.Sprintf("-%d", prefix.Bits())
	}
	return name
}

// clientsOf is for how many clients a network counts, from the text of addressKeys.
func clientsOf(shown string) int {
	prefix, err := netip.ParsePrefix(shown)
	if err != nil {
		return clientsOfClient
	}
	for _, n := range NetworksOf(prefix.Addr()) {
		if n.Prefix.Bits() == prefix.Bits() {
			return n.Clients
		}
	}
	return clientsOfClient
}
