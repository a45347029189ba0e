// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
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
	// networkBits is what one customer has of IPv6.
	networkBits = 64
)

// key is something whose failures are counted.
type key struct {
	name   string
	policy Policy
	labels map[string]string
	owner  []metav1.OwnerReference
	spec   kubevisionv1alpha1.KubeVisionLoginThrottleSpec
}

func addressPolicy(free int) Policy { return Policy{Free: free, Forgive: addressForgive} }

func accountPolicy() Policy { return Policy{Free: accountFree, Forgive: accountForgive} }

// NameOfUser is the name of the KubeVisionLoginThrottle of a KubeVisionUser.
func NameOfUser(user string) string { return "user-" + user }

// Forgiven is when a throttle counts nothing any more.
func Forgiven(t *kubevisionv1alpha1.KubeVisionLoginThrottle) time.Time {
	policy := accountPolicy()
	if t.Spec.Target == kubevisionv1alpha1.ThrottleAddress {
		policy = addressPolicy(0)
	}
	forgiven := policy.Forgiven(counterOf(t))
	if until := t.Spec.BlockedUntil; until != nil && until.After(forgiven) {
		return until.Time
	}
	return forgiven
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

// sessionKey counts the wrong passwords that somebody logged in gave.
func sessionKey(session string) key {
	return key{
		name: "session-" + session, policy: accountPolicy(),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleSession, Session: session},
	}
}

// addressKey counts the failures of a client address.
func addressKey(address netip.Addr, free int) key {
	address = address.Unmap().WithZone("")
	shown, name := address.String(), address.String()
	if address.Is6() {
		network := netip.PrefixFrom(address, networkBits).Masked()
		shown = network.String()
		// The first four groups, written out: a name may not end in a colon's stand-in.
		name = strings.ReplaceAll(network.Addr().StringExpanded()[:len("0000:0000:0000:0000")], ":", "-")
	}
	return key{
		name: "address-" + name, policy: addressPolicy(free),
		spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{Target: kubevisionv1alpha1.ThrottleAddress, Address: shown},
	}
}
