// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/certificates"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func expiredCertificate(tb testing.TB) (certificate, key []byte) {
	tb.Helper()
	issued, err := certificates.SelfSigned(&x509.Certificate{
		Subject: pkix.Name{CommonName: "operator"}, NotAfter: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return issued.CertPEM, issued.KeyPEM
}

func TestExamine(t *testing.T) {
	member := theOther(t)
	refused, nowhere := member.Config(), member.Config()
	refused = &rest.Config{Host: refused.Host, BearerToken: "none-of-its",
		TLSClientConfig: rest.TLSClientConfig{CAData: refused.CAData}}
	nowhere.Host = "https://127.0.0.1:1"
	expired := &rest.Config{Host: refused.Host, TLSClientConfig: rest.TLSClientConfig{CAData: refused.CAData}}
	expired.CertData, expired.KeyData = expiredCertificate(t)
	untrusted := &rest.Config{Host: refused.Host, BearerToken: "x",
		TLSClientConfig: rest.TLSClientConfig{CAData: expired.CertData}}
	p := login(t, "examiner")
	for name, test := range map[string]struct {
		config  *rest.Config
		want    dashboardv1alpha1.ClusterTest
		message string
	}{
		"good": {member.Config(),
			dashboardv1alpha1.ClusterTest{Reachable: true, CredentialsValid: true, ImpersonationReady: true}, ""},
		"unauthorized": {refused, dashboardv1alpha1.ClusterTest{Reachable: true}, "does not accept the credentials"},
		"gone":         {nowhere, dashboardv1alpha1.ClusterTest{}, "connection refused"},
		"expired": {expired, dashboardv1alpha1.ClusterTest{Reachable: true},
			"the client certificate of the kubeconfig expired on 2020-"},
		"untrusted": {untrusted, dashboardv1alpha1.ClusterTest{}, "signed by an unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			c := register(t, test.config, nil)
			if test.want.ImpersonationReady {
				ready(t, c)
			}
			set().Bind(t, "examiner", fixture.Grant{
				Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
				Unconnected: true,
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
			if !strings.Contains(got.Message, test.message) {
				t.Errorf("the message is %q, want %q in it", got.Message, test.message)
			}
			got.Message, got.Version = "", ""
			if got != test.want {
				t.Errorf("found %+v, want %+v", got, test.want)
			}
			if name == "expired" {
				condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse,
					kubevisionv1alpha1.ReasonExpired)
			}
		})
	}
}
