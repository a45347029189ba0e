// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"net/http"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestAMemberTakesACode verifies that a write that grants rights on a registered cluster requires a TOTP code.
func TestAMemberTakesACode(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	p := login(t, "admin")
	set().Bind(t, "admin", fixture.Grant{Role: kubevisionv1alpha1.RoleAdmin, Subjects: fixture.KubeVisionUsers(p.User),
		Cluster: c.Name})
	secret := fixture.Enrol(t, p.client, wire.DirectPath, p.token)
	made := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("attack")}}
	member.set().Later(t, made)
	grant := wire.Request{
		Method: http.MethodPost, Path: wire.DirectPath + "/clusters/" + c.Name + "/resources/clusterrolebindings",
		Bearer: p.token,
		Body: `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding",
			"metadata":{"name":"` + made.Name + `"},
			"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},
			"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"nobody"}]}`,
	}
	p.client.Call(t, grant).Want(t, wire.TwoFactorRequired)
	if err := member.admin.Get(t.Context(), client.ObjectKeyFromObject(made),
		made); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the binding was made without a code (%v)", err)
	}
	grant.Header = http.Header{"X-KubeVision-TOTP": {fixture.Code(t, secret, 0)}}
	p.client.Call(t, grant).Want(t, wire.OK)
}
