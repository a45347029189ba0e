// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	yamlType       = "application/yaml"
	mergePatchType = "application/merge-patch+json"
	jsonPatchType  = "application/json-patch+json"
	applyType      = "application/apply-patch+yaml"
	// refusedLabel is a label key. The tests create an admission policy that rejects ConfigMaps with this label.
	refusedLabel = "conformance-refused"
)

// writer creates probes, which are requests with an expected response. The requests change ConfigMaps. The caller has
// the role operator unless a probe sets another role.
type writer struct {
	c *cast
}

func (c *cast) configs() string { return c.host() + "/namespaces/" + c.own + "/resources/configmaps" }

func config(name, metadata, fields string) string {
	if name != "" {
		metadata = strings.TrimPrefix(metadata+`,"name":"`+name+`"`, ",")
	}
	return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{` + metadata + `}` + fields + `}`
}

func (w writer) send(want int, field, method, path, contentType, text string) probe {
	p := probe{want: want, field: field, as: operator, request: wire.Request{Method: method, Path: path, Body: text}}
	if contentType != "" {
		p.request.Header = http.Header{"Content-Type": {contentType}}
	}
	return p
}

func (w writer) create(want int, field, text string) probe {
	return w.send(want, field, http.MethodPost, w.c.configs(), "", text)
}

func (w writer) patch(want int, field, contentType, text string) probe {
	return w.send(want, field, http.MethodPatch, w.c.configs()+"/"+w.c.config, contentType, text)
}

func (w writer) replace(want int, field, text string) probe {
	return w.send(want, field, http.MethodPut, w.c.configs()+"/"+w.c.config, "", text)
}

func (c *cast) writes() map[string]probe {
	w, out := writer{c}, map[string]probe{}
	for _, group := range []map[string]probe{w.successes(), w.unparseable(), w.rejected(), w.conflicts(),
		w.parameters(), w.accessErrors(), w.several()} {
		maps.Copy(out, group)
	}
	return out
}

// successes returns requests that must succeed, by name. The test sends the requests in the order of the names, because
// some requests need a ConfigMap that an earlier request has created.
func (w writer) successes() map[string]probe {
	const life = "conformance-life"
	one := w.c.configs() + "/" + life
	current := `"resourceVersion":"` + w.c.configVersion + `"`
	return map[string]probe{
		"life of an object, 1: create": w.create(wire.OK, "", config(life, "", "")),
		"life of an object, 2: get":    w.send(wire.OK, "", http.MethodGet, one, "", ""),
		"life of an object, 3: patch": w.send(wire.OK, "", http.MethodPatch, one, mergePatchType,
			`{"data":{"key":"value"}}`),
		"life of an object, 4: apply": w.send(wire.OK, "", http.MethodPatch, one, applyType,
			config(life, "", `,"data":{"other":"value"}`)),
		"life of an object, 5: end": w.deletion(one),
		"a creation that is tried": w.send(wire.OK, "", http.MethodPost, w.c.configs()+"/dry-run", "",
			config(life, "", "")),
		"a patch that is tried": w.send(wire.OK, "", http.MethodPatch, w.c.configs()+"/"+w.c.config+"/dry-run",
			mergePatchType, `{"data":{"key":"x"}}`),
		"a replacement in a dry run": w.send(wire.OK, "", http.MethodPut, w.c.configs()+"/"+w.c.config+"?dryRun=All",
			"", config(w.c.config, current, "")),
		"a creation from YAML": w.send(wire.OK, "", http.MethodPost, w.c.configs()+"?dryRun=All", yamlType,
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: "+life+"\n"),
	}
}

func (w writer) several() map[string]probe {
	one, other := config("conformance-one", `"namespace":"`+w.c.own+`"`, ""), config("conformance-other",
		`"namespace":"`+w.c.own+`"`, "")
	send := func(want int, field, query, text string) probe {
		return w.send(want, field, http.MethodPost, w.c.host()+"/apply?dryRun=All"+query, yamlType, text)
	}
	itemized := func(p probe) probe {
		p.itemized = true
		return p
	}
	viewer := itemized(send(wire.Forbidden, "", "", one))
	viewer.as = member
	return map[string]probe{
		"a dry run of several objects": send(wire.OK, "", "", one+"\n---\n---\n"+other),
		"a dry run of a List": send(wire.OK, "", "",
			`{"apiVersion":"v1","kind":"List","items":[`+one+","+other+"]}"),
		"several, and no YAML": send(wire.Unparseable, "", "", one+"\n---\na: b: c"),
		"several, and one without a name": send(wire.Required, "[1].metadata.name", "&namespace="+w.c.own,
			one+"\n---\n"+config("", "", "")),
		"several, and the same twice": send(wire.Invalid, "[1].metadata.name", "", one+"\n---\n"+one),
		"several objects with an unknown kind": send(wire.NotFound, "", "",
			one+"\n---\n"+`{"apiVersion":"nothing.example.com/v1","kind":"None","metadata":{"name":"x"}}`),
		"several, and one is not valid": itemized(send(wire.Rejected, "", "", one+"\n---\n"+
			config("conformance-other", `"namespace":"`+w.c.own+`"`, `,"data":{"a/b":"x"}`))),
		"several, by an onlooker": viewer,
	}
}

// deletion returns a probe that deletes the object at path. The expected response contains no data, because the object
// has no finalizers.
func (w writer) deletion(path string) probe {
	p := w.send(wire.OK, "", http.MethodDelete, path, "", "")
	p.silent = true
	return p
}

func (w writer) unparseable() map[string]probe {
	text := func(text string) probe {
		return w.send(wire.Unparseable, "", http.MethodPost, w.c.configs(), yamlType, text)
	}
	bomb := []string{"a: &a [x]"}
	for name := 'b'; name <= 'i'; name++ {
		bomb = append(bomb, fmt.Sprintf("%c: &%c [%s]", name, name, strings.Repeat(fmt.Sprintf("*%c, ", name-1), 10)))
	}
	return map[string]probe{
		"YAML that ends too soon":   text("kind: [ConfigMap"),
		"YAML of several documents": text("kind: ConfigMap\n---\nkind: ConfigMap\n"),
		"an alias bomb":             text(strings.Join(bomb, "\n")),
		"YAML with a key twice":     text("kind: ConfigMap\nkind: ConfigMap\n"),
		"a YAML string":             text("ConfigMap"),
		"half a manifest":           w.create(wire.Unparseable, "", `{"apiVersion":"v1"`),
		"YAML to try": w.send(wire.Unparseable, "", http.MethodPost, w.c.configs()+"/dry-run", yamlType,
			"\tkind"),
	}
}

func (w writer) rejected() map[string]probe {
	invalid := config("conformance-none", "", `,"data":{"a/b":"x"}`)
	tried := w.send(wire.Rejected, "", http.MethodPost, w.c.configs()+"/dry-run", "", invalid)
	tried.explained = true
	byPolicy := config("conformance-none", `"labels":{"`+refusedLabel+`":"x"}`, "")
	return map[string]probe{
		"an invalid object":               w.create(wire.Rejected, "", invalid),
		"a dry run of an invalid object":  tried,
		"an object that a policy refuses": w.create(wire.Rejected, "", byPolicy),
		"a patch that a policy refuses": w.patch(wire.Rejected, "", mergePatchType,
			`{"metadata":{"labels":{"`+refusedLabel+`":"x"}}}`),
		"a patch to an invalid object": w.patch(wire.Rejected, "", mergePatchType, `{"data":{"a/b":"x"}}`),
		"a JSON patch of a missing field": w.patch(wire.Rejected, "", jsonPatchType,
			`[{"op":"remove","path":"/data/none"}]`),
		"an invalid applied object": w.patch(wire.Rejected, "", applyType,
			config(w.c.config, "", `,"data":{"a/b":"x"}`)),
	}
}

func (w writer) conflicts() map[string]probe {
	stale := config(w.c.config, `"resourceVersion":"1"`, "")
	return map[string]probe{
		"an existing object": w.create(wire.Conflict, "", config(w.c.config, "", "")),
		"an existing object, with the namespace in the query": w.send(wire.Conflict, "", http.MethodPost,
			w.c.host()+"/resources/configmaps?namespace="+w.c.own, "", config(w.c.config, "", "")),
		"an old resourceVersion":          w.replace(wire.Stale, "", stale),
		"an old resourceVersion, patched": w.patch(wire.Stale, "", mergePatchType, stale),
		"a field that another has set": w.patch(wire.Stale, "", applyType,
			config(w.c.config, "", `,"data":{"key":"mine"}`)),
	}
}

func (w writer) parameters() map[string]probe {
	good := config(w.c.config, "", "")
	return map[string]probe{
		"an object without a name":      w.create(wire.Required, "metadata.name", config("", "", "")),
		"an object without a kind":      w.create(wire.Required, "kind", `{"apiVersion":"v1"}`),
		"no object":                     w.create(wire.Required, "body", ""),
		"no resourceVersion to replace": w.replace(wire.Required, "metadata.resourceVersion", good),
		"another name than in the URL": w.replace(wire.Invalid, "metadata.name",
			config("other", `"resourceVersion":"1"`, "")),
		"another namespace": w.create(wire.Invalid, "metadata.namespace",
			config("x", `"namespace":"other"`, "")),
		"another kind": w.create(wire.Invalid, "kind",
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`),
		"a field that does not exist": w.create(wire.Invalid, "*", config("conformance-none", "", `,"datum":{}`)),
		"a manifest as plain text": w.send(wire.Invalid, "Content-Type", http.MethodPost, w.c.configs(),
			"text/plain", good),
		"a patch as plain JSON":             w.patch(wire.Invalid, "Content-Type", "application/json", `{}`),
		"a patch that is not an object":     w.patch(wire.Invalid, "*", mergePatchType, `[]`),
		"a JSON patch that is not an array": w.patch(wire.Invalid, "*", jsonPatchType, `{}`),
		"an unknown operation": w.patch(wire.Invalid, "op", jsonPatchType,
			`[{"op":"delete","path":"/data"}]`),
		"a dry run of a part": w.send(wire.Invalid, "dryRun", http.MethodPost, w.c.configs()+"?dryRun=Some",
			"", good),
		"an unknown way to delete": w.send(wire.Invalid, "propagationPolicy", http.MethodDelete,
			w.c.configs()+"/x?propagationPolicy=x", "", ""),
		"a patch of a missing object": w.send(wire.NotFound, "", http.MethodPatch, w.c.configs()+"/none",
			mergePatchType, `{}`),
		"a deletion of a missing object": w.send(wire.NotFound, "", http.MethodDelete, w.c.configs()+"/none", "", ""),
	}
}

// accessErrors returns create requests that must fail. Either the caller lacks a right, or the cluster is missing or
// unreachable.
func (w writer) accessErrors() map[string]probe {
	by := func(as role, want int, path string) probe {
		p := w.send(want, "", http.MethodPost, path, "", config("conformance-none", "", ""))
		p.as = as
		return p
	}
	in := func(cluster, namespace string) string {
		return "/clusters/" + cluster + "/namespaces/" + namespace + "/resources/configmaps"
	}
	return map[string]probe{
		"a creation by an onlooker":            by(member, wire.Forbidden, w.c.configs()),
		"a creation to try, by an onlooker":    by(member, wire.Forbidden, w.c.configs()+"/dry-run"),
		"a creation where one may not look":    by(member, wire.NamespaceForbidden, in(target.Host, w.c.other)),
		"a creation bound nowhere":             by(stranger, wire.ClusterForbidden, w.c.configs()),
		"a creation in no cluster":             by(operator, wire.ClusterNotFound, in("conformance-none", "x")),
		"a creation in a cluster that is gone": by(operator, wire.Unreachable, in(w.c.hidden, "x")),
	}
}
