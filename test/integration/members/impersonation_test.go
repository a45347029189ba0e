// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestDeniedImpersonation verifies that the error message names the reason why KubeVision cannot impersonate a user on
// a cluster. Either no role binding names the user, or the role binding is not yet applied on the cluster.
func TestDeniedImpersonation(t *testing.T) {
	member := theOther(t)
	f, c := registerThroughFront(t, member)
	ns := member.set().Namespace(t, "impersonation")
	member.set().Pod(t, ns, "web")
	p := login(t, "impersonated")
	set().AllowUse(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "kubevision:" + p.Name},
		c.Name)
	list := "/namespaces/" + ns + "/resources/pods"
	paths := []string{list, list + "/web", list + "/none", "/log/namespaces/" + ns + "/pods/web"}
	becomesDenied := func(message string) {
		t.Helper()
		for _, path := range paths {
			fixture.Eventually(t, "wait for the message of "+path, func(ctx context.Context) error {
				e, err := p.get(ctx, c.Name, path)
				if err != nil || e.Code != wire.Forbidden || !strings.Contains(e.Message, message) {
					return fmt.Errorf("code %d: %s (%w)", e.Code, e.Message, err)
				}
				return nil
			})
		}
	}
	becomesDenied("no role binding names you")

	set().Bind(t, "impersonated", fixture.Grant{Role: kubevisionv1alpha1.RoleDev, Cluster: c.Name,
		Subjects: fixture.KubeVisionUsers(p.User)})
	for _, path := range []string{list, list + "/web"} {
		p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
	}
	// The controllers cannot create the binding again.
	f.set(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/clusterrolebindings") {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
	defer f.set(nil)
	member.set().Delete(t, named(&rbacv1.ClusterRoleBinding{}, "", "kubevision-impersonator"))
	becomesDenied("your role binding is not applied on this cluster yet")
	f.set(nil)
	p.becomes(t, fixture.Patience, c.Name, list, wire.OK)
}
