// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"encoding/json"
	"testing"

	"k8s.io/client-go/rest"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestExamine: a look at a cluster says what is wrong with it.
func TestExamine(t *testing.T) {
	member := theOther(t)
	refused, nowhere := member.Config(), member.Config()
	refused = &rest.Config{Host: refused.Host, BearerToken: "none-of-its", TLSClientConfig: rest.TLSClientConfig{CAData: refused.CAData}}
	nowhere.Host = "https://127.0.0.1:1"
	p := login(t, "examiner")
	for name, test := range map[string]struct {
		config *rest.Config
		want   dashboardv1alpha1.ClusterTest
	}{
		"good":         {member.Config(), dashboardv1alpha1.ClusterTest{Reachable: true, CredentialsValid: true, ImpersonationReady: true}},
		"unauthorized": {refused, dashboardv1alpha1.ClusterTest{Reachable: true}},
		"gone":         {nowhere, dashboardv1alpha1.ClusterTest{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := register(t, test.config, nil)
			if test.want.ImpersonationReady {
				ready(t, c)
			}
			set().Bind(t, "examiner", fixture.Grant{
				Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name, Hopeless: true,
			})
			p.becomes(t, fixture.Patience, c.Name, "", wire.OK)
			response, err := p.client.Do(t.Context(), wire.Request{
				Method: "POST", Path: wire.DirectPath + "/clusters/" + c.Name + "/test", Bearer: p.token,
			})
			if err != nil {
				t.Fatal(err)
			}
			e, err := response.Parse()
			if err != nil || e.Code != wire.OK {
				t.Fatalf("code %d: %s (%v)", e.Code, e.Message, err)
			}
			var got dashboardv1alpha1.ClusterTest
			if err := json.Unmarshal(e.Data, &got); err != nil {
				t.Fatal(err)
			}
			if good := test.want.ImpersonationReady; good != (got.Message == "") || good != (got.Version != "") {
				t.Errorf("message %q, version %q", got.Message, got.Version)
			}
			got.Message, got.Version = "", ""
			if got != test.want {
				t.Errorf("found %+v, want %+v", got, test.want)
			}
		})
	}
}
