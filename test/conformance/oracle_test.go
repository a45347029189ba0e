// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestNothingTellsWhatExists verifies that the responses about existing and about missing objects are equal for callers
// who may read neither. They may differ only in the requested name and the request id.
func TestNothingTellsWhatExists(t *testing.T) {
	c := newCast(t)
	in := func(namespace string) string {
		return "/clusters/" + target.Host + "/namespaces/" + namespace + "/resources/"
	}
	missing := c.other[:len(c.other)-6] + "absent" // of the same length
	missingCluster := c.hidden[:len(c.hidden)-6] + "absent"
	pairs := map[string]struct {
		as              role
		exists, missing string
	}{
		"cluster itself": {member, "/clusters/" + c.hidden, "/clusters/" + missingCluster},
		"cluster": {member, "/clusters/" + c.hidden + "/resources/pods",
			"/clusters/" + missingCluster + "/resources/pods"},
		"host": {stranger, "/clusters/" + target.Host + "/resources/pods",
			"/clusters/" + strings.Repeat("x", len(target.Host)) + "/resources/pods"},
		"cluster, unknown kind": {stranger, "/clusters/" + c.hidden + "/resources/nothings",
			"/clusters/" + missingCluster + "/resources/nothings"},
		"namespace": {member, in(c.other) + "pods", in(missing) + "pods"},
		"namespace by query": {member, "/clusters/" + target.Host + "/resources/pods?namespace=" + c.other,
			"/clusters/" + target.Host + "/resources/pods?namespace=" + missing},
		"object in another namespace": {member, in(c.other) + "configmaps/kube-root-ca.crt",
			in(c.other) + "configmaps/kube-root-ca.xxx"},
		"Secret in one's namespace": {member, in(c.own) + "secrets/" + c.config, in(c.own) + "secrets/absences"},
		"namespace object": {member, "/clusters/" + target.Host + "/resources/namespaces/" + c.other,
			"/clusters/" + target.Host + "/resources/namespaces/" + missing},
	}
	for _, d := range doors(t, c) {
		for name, tc := range pairs {
			t.Run(d.name+"/"+name, func(t *testing.T) {
				ask := func(path string) wire.Envelope {
					request, client, ok := d.request(c, probe{as: tc.as, request: get(path)})
					if !ok {
						t.Skip("this door cannot transport the credential")
					}
					return client.Call(t, request)
				}
				here, there := ask(tc.exists), ask(tc.missing)
				if here.Code != there.Code || here.Code < wire.Forbidden || here.Code > wire.NamespaceForbidden {
					t.Errorf("code %d if it exists, %d if it does not", here.Code, there.Code)
				}
				if a, b := neutral(here, tc.exists), neutral(there, tc.missing); a != b {
					t.Errorf("the answers differ:\n%s\n%s", a, b)
				}
			})
		}
	}
}

// neutral returns a response in which placeholders replace the request ID and all names from the path of the request.
func neutral(e wire.Envelope, path string) string {
	text := strings.ReplaceAll(string(e.Raw), e.Meta.RequestID, "ID")
	path, query, _ := strings.Cut(path, "?")
	names := strings.Split(path, "/")
	if _, value, ok := strings.Cut(query, "="); ok {
		names = append(names, value)
	}
	for _, name := range names {
		switch name {
		case "", "clusters", "namespaces", "resources", "pods", "configmaps", "secrets":
		default:
			text = strings.ReplaceAll(text, `\"`+name+`\"`, "NAME")
		}
	}
	return text
}
