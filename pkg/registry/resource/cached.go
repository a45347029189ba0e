// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fingerprint"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// cachedQuery contains the parameters of a list that the read cache can answer.
type cachedQuery struct {
	*listOptions

	target objectref.Target
	labels labels.Selector
	// selected returns true if an object matches the field selector.
	selected func(*readcache.Object) bool
	// filtered is false if both selectors are empty. All objects match in this case.
	filtered bool
	// id identifies the list. Each page token contains the id, so that a client cannot use the token of a different
	// list.
	id string
	// after is the last object of the previous page. It is nil for the first page.
	after *keyToken
}

// fromCache returns the objects of t from the read cache. It returns false if they must be requested from the cluster.
func (o *listOptions) fromCache(
	ctx context.Context, caller *scopedlist.Client, t objectref.Target,
) (routes.Result, bool, error) {
	q, ok, err := o.cachedQuery(t)
	if err != nil || !ok {
		return routes.Result{}, false, err
	}
	found, ok, err := caller.Cached(ctx, t)
	if err != nil || !ok {
		return routes.Result{}, false, err
	}
	meta := found.Meta()
	body := &cachedBody{}
	switch {
	case found.Partial && q.after != nil: // the caller could list all namespaces when the previous page was read
		err = notOfThisList()
	case o.view.needsWholeList() || (found.Partial && o.view.limit > 0):
		err = q.addViewPage(ctx, found.Groups, body, &meta)
	default:
		err = q.addListPage(ctx, found.Groups, body, &meta)
	}
	if err != nil {
		return routes.Result{}, false, err
	}
	context.AfterFunc(ctx, found.Hold(body.drop))
	data := body.data(budget.AccountFrom(ctx))
	return routes.Result{Data: data, Meta: meta, Tag: q.tag(caller, found)}, true, nil
}

// cachedQuery returns the parameters for listing the objects of t from the read cache. It returns false if the read
// cache cannot return the same result as the API server.
func (o *listOptions) cachedQuery(t objectref.Target) (*cachedQuery, bool, error) {
	if o.live || o.metrics || o.table {
		return nil, false, nil
	}
	byLabels, err := labels.Parse(o.query.Get(queryLabelSelector))
	byFields, err2 := fields.ParseSelector(o.query.Get(queryFieldSelector))
	if err != nil || err2 != nil {
		return nil, false, nil //nolint:nilerr // the API server writes the error
	}
	matches, ok := readcache.FieldMatcher(t.Resource.GroupVersionResource, t.Resource.Namespaced, byFields)
	if !ok || !readcache.IsShort(byLabels) {
		return nil, false, nil
	}
	q := &cachedQuery{
		listOptions: o, target: t, labels: byLabels, selected: matches, filtered: !byFields.Empty() ||
			!byLabels.Empty(),
		id: strings.Join([]string{o.view.listHash, t.Resource.String(), t.Namespace}, "/"),
	}
	if text := o.query.Get(queryContinue); text != "" {
		if q.after, ok = decodeKeyToken(text); !ok { // the API server has issued the token
			return nil, false, nil
		}
		if q.after.Of != q.id {
			return nil, false, notOfThisList()
		}
	}
	return q, true, nil
}

func notOfThisList() error {
	return envelope.Invalid(queryContinue, "continue does not belong to this list: begin without it")
}

// matching returns those of the given objects that match both selectors.
func (q *cachedQuery) matching(objects []*readcache.Object) []*readcache.Object {
	if !q.filtered {
		return objects
	}
	var out []*readcache.Object
	for _, o := range objects {
		if q.labels.Matches(o.Labels) && q.selected(o) {
			out = append(out, o)
		}
	}
	return out
}

// addListPage adds a page of the list to body, and sets the token of the next page in meta. For the first page, it also
// sets the total.
func (q *cachedQuery) addListPage(
	ctx context.Context, groups readcache.Groups, body *cachedBody, meta *dashboardv1alpha1.Meta,
) error {
	var total int64
	var last *readcache.Object
	room, more := q.listOptions.view.limit, false
	if err := body.reserve(groups.Len(), room, budget.AccountFrom(ctx)); err != nil {
		return err
	}
	for g := range groups.All() {
		if err := ctx.Err(); err != nil {
			return envelope.Late(err)
		}
		objects := g.Objects
		if q.after != nil { // only the first page contains the total
			objects = g.ObjectsAfter(q.after.Namespace, q.after.Name)
		}
		taken := q.matching(objects)
		total += int64(len(taken))
		if q.listOptions.view.limit > 0 && len(taken) > room {
			taken, more = taken[:room], true
		}
		if len(taken) == 0 {
			continue
		}
		room, last = room-len(taken), taken[len(taken)-1]
		body.add(g, taken)
	}
	if q.after == nil {
		meta.Total = &total
	}
	if !more {
		return nil
	}
	// The next page begins after the last object of this page, even if other objects are created or deleted before the
	// next request.
	var err error
	meta.Continue, err = keyToken{
		Version:   keyTokenVersion,
		Of:        q.id,
		Namespace: last.Namespace,
		Name:      last.Name,
	}.encode()
	return err
}

// tag returns the ETag of a response: a hash of the objects, the query, and the user name and groups of the caller on
// the cluster.
func (q *cachedQuery) tag(caller *scopedlist.Client, found *scopedlist.Cached) string {
	identity := caller.Identity()
	text := make([]byte, 0, 512) //nolint:mnd // of a usual identity and query
	text = fingerprint.Append(text, caller.Cluster(), q.id, q.encoded, identity.UserName,
		strconv.FormatBool(found.Partial))
	text = fingerprint.Append(text, identity.Groups...)
	text = fingerprint.Append(text, found.Namespaces...)
	sum := sha256.New()
	for g := range found.Groups.All() {
		if g.Serial != 0 {
			text = binary.LittleEndian.AppendUint64(text, g.Serial)
		} else {
			for _, o := range g.Objects {
				text = fingerprint.Append(text, o.Name, o.ResourceVersion)
			}
		}
		if len(text) >= tagChunk {
			_, _ = sum.Write(text) // writing to a hash never fails
			text = text[:0]
		}
	}
	_, _ = sum.Write(text) // never fails
	return tagOf(sum.Sum(nil))
}

// tagChunk is the number of bytes that are hashed together when an ETag is computed.
const tagChunk = 4 << 10

// tagBytes is the number of bytes of a hash in an ETag.
const tagBytes = 18

// keyToken is the continue token of a list from the read cache. Namespace and Name identify the last object in the
// response that contains the token. The next page begins after that object.
type keyToken struct {
	Version   string `json:"v"`
	Of        string `json:"of"`
	Namespace string `json:"ns,omitempty"`
	Name      string `json:"name"`
}

const keyTokenVersion = "dashboard.kubevision.io/v1alpha1/key"

func (k keyToken) encode() (string, error) {
	token, err := json.Marshal(k)
	if err != nil {
		return "", fmt.Errorf("encoding a page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(token), nil
}

func decodeKeyToken(text string) (*keyToken, bool) {
	token := &keyToken{}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, token) != nil {
		return nil, false
	}
	return token, token.Version == keyTokenVersion
}

// objectTag returns the ETag of the object o, whose resource is t.Resource. The ETag also depends on the identity of
// the caller.
func objectTag(caller *scopedlist.Client, t objectref.Target, o *readcache.Object) string {
	identity := caller.Identity()
	text := make([]byte, 0, 256) //nolint:mnd // of a usual identity
	text = fingerprint.Append(text, caller.Cluster(), t.Resource.String(), o.Namespace, o.Name, o.ResourceVersion,
		identity.UserName)
	text = fingerprint.Append(text, identity.Groups...)
	// A redefined kind may have different content with the same version. A checksum is sufficient, because only the
	// cluster itself could send other content with the same checksum. It takes a tenth of the time of a hash.
	text = binary.BigEndian.AppendUint32(text, crc32.ChecksumIEEE(o.JSON))
	sum := sha256.Sum256(text)
	return tagOf(sum[:])
}

func tagOf(hash []byte) string {
	return `W/"` + base64.RawURLEncoding.EncodeToString(hash[:tagBytes]) + `"`
}
