// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// expensiveHash returns a password hash with the maximum cost that KubeVision accepts. A login with this hash needs
// 64 MiB of memory.
func expensiveHash() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=65536,t=4,p=1$%s$%s", encode([]byte(strings.Repeat("s", 16))),
		encode([]byte(strings.Repeat("k", 32))))
}

func victim(t *testing.T) string {
	t.Helper()
	hash := expensiveHash()
	u := set().User(t, "victim")
	set().ReplacePassword(t, u, hash)
	fixture.Eventually(t, "wait for the import of the hash", func(ctx context.Context) error {
		var s corev1.Secret
		if err := env.Client.Get(ctx, types.NamespacedName{
			Namespace: fixture.SystemNamespace, Name: "kubevision-credentials-" + u.Name,
		}, &s); err != nil {
			return fmt.Errorf("reading the credentials: %w", err)
		}
		if string(s.Data["passwordHash"]) != hash {
			return errors.New("the hash has not been imported")
		}
		return nil
	})
	return u.Name
}

func wrongLogin(endpoint string, name func() string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		body := fmt.Sprintf(`{"username":%q,"password":"wrong"}`, name())
		r, err := post(endpoint, "/auth/login", "application/json", "", body)(ctx)
		if err != nil {
			return nil, err
		}
		r.Header.Del("Authorization")
		r.Header.Set("X-Forwarded-For", fixture.RandomAddress())
		return r, nil
	}
}

// forgive deletes all KubeVisionLoginThrottles repeatedly until the test ends. Therefore, failed logins do not lock any
// account.
func forgive(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := env.Client.DeleteAllOf(ctx, &kubevisionv1alpha1.KubeVisionLoginThrottle{}); err != nil &&
				ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second / 2):
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// TestWrongLogins verifies that concurrent failed logins need limited memory while other requests read large lists. The
// password hashes have the maximum cost. The test measures the memory of the server together with its child process,
// which hashes passwords.
func TestWrongLogins(t *testing.T) {
	t.Setenv("GOMAXPROCS", "8") // the maximum number of concurrent hashes
	r := replica(t, "--trusted-proxies=127.0.0.0/8,::1/128")
	ns := createConfigMaps(t, "logins", 43, large)
	greedy := token(t, r, "dev", ns)
	victims := make([]string, 8)
	for i := range victims {
		victims[i] = victim(t)
	}
	forgive(t)
	lists := make(chan map[int]int)
	go func() {
		lists <- flood(t, client(t), 24, get(r.Endpoint(),
			"/clusters/"+host+"/namespaces/"+ns+"/resources/configmaps?source=live", greedy))
	}()
	codes := flood(t, client(t), 60, wrongLogin(r.Endpoint(), func() string {
		return victims[rand.IntN(len(victims))] //nolint:gosec // any user is suitable
	}))
	if beside := <-lists; beside[wire.OK] == 0 {
		t.Errorf("the lists beside the logins: %v", beside)
	}
	if codes[wire.Unauthenticated] == 0 || codes[wire.Internal] > 0 || codes[wire.Unreachable] > 0 {
		t.Errorf("codes of the logins: %v", codes)
	}
	survives(t, r, mostMiB)
}
