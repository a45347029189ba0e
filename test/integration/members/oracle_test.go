// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"strings"
	"testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestMemberTellsNothing verifies that a user cannot find out the existence of objects or clusters that the user may
// not read. The responses for an existing name and for a missing name may differ only in the name and the request id.
func TestMemberTellsNothing(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	hidden := register(t, newStandin(t).config(registeredToken), nil)
	mine, others := member.set().Namespace(t, "mine"), member.set().Namespace(t, "others")
	member.set().Pod(t, others, "web")
	p := login(t, "curious")
	set().Bind(t, "curious", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Namespaces: []string{mine},
	})
	p.becomes(t, fixture.Patience, c.Name, "/namespaces/"+mine+"/resources/pods", wire.OK)
	absent := others[:len(others)-6] + "absent"
	noCluster := hidden.Name[:len(hidden.Name)-6] + "absent"
	on := "/clusters/" + c.Name
	for name, pair := range map[string]struct{ method, path, exists, missing string }{
		"cluster":                 {"GET", "/clusters/*", hidden.Name, noCluster},
		"cluster's Pods":          {"GET", "/clusters/*/resources/pods", hidden.Name, noCluster},
		"cluster's unknown kind":  {"GET", "/clusters/*/resources/nothings", hidden.Name, noCluster},
		"cluster's look":          {"POST", "/clusters/*/test", hidden.Name, noCluster},
		"cluster's end":           {"DELETE", "/clusters/*", hidden.Name, noCluster},
		"cluster in one's access": {"GET", "/users/me/access?cluster=*", hidden.Name, noCluster},
		"namespace":               {"GET", on + "/namespaces/*/resources/pods", others, absent},
		"namespace, unknown kind": {"GET", on + "/namespaces/*/resources/nothings", others, absent},
		"namespace by query":      {"GET", on + "/resources/pods?namespace=*", others, absent},
		"namespace itself":        {"GET", on + "/resources/namespaces/*", others, absent},
		"Pod of another namespace": {"GET", on + "/namespaces/" + others + "/resources/pods/*",
			"web", "wob"},
		"what belongs to a missing namespace": {"GET", on + "/namespaces/*/resources/pods/web", others, absent},
		"ConfigMap that is KubeVision's": {"GET", on + "/namespaces/kubevision-system/resources/configmaps/*",
			"kube-root-ca.crt", "kube-root-ca.xxx"},
		"Secret of one's own namespace": {"GET", on + "/namespaces/" + mine + "/resources/secrets/*", "one", "two"},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(name string) (int, string) {
				e := p.client.Call(t, wire.Request{Method: pair.method,
					Path: wire.DirectPath + strings.Replace(pair.path, "*", name, 1), Bearer: p.token})
				text := strings.ReplaceAll(string(e.Raw), e.Meta.RequestID, "ID")
				return e.Code, strings.ReplaceAll(text, `\"`+name+`\"`, "NAME")
			}
			code, here := ask(pair.exists)
			if _, there := ask(pair.missing); here != there {
				t.Errorf("the answers differ:\n%s\n%s", here, there)
			}
			if unknownKind := strings.HasSuffix(pair.path, on+"/namespaces/*/resources/nothings"); !unknownKind &&
				(code < wire.Forbidden || code > wire.NamespaceForbidden) {
				t.Errorf("code %d", code)
			}
		})
	}
}
