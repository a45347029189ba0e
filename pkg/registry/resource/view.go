// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// view contains the search text, the order and the page of a list. API servers can neither search nor sort a list.
// Therefore, the pages of a searched or sorted list are computed from all objects of the list.
type view struct { //nolint:recvcheck // only finds needs a pointer
	search string
	order  order
	// offset is the number of objects of the list that precede the page.
	offset int
	// limit is the maximum number of objects on the page. 0 means no limit.
	limit int
	// listHash identifies the path and the query parameters of the list. Each page token contains this hash, so that a
	// client cannot use the token for another list.
	listHash string
}

// pageToken is the token of the next page of a list that KubeVision reads as a whole, for example because the list is
// sorted. The field Version distinguishes a pageToken from the tokens of API servers.
type pageToken struct {
	Version string `json:"v"`
	Offset  int    `json:"offset"`
	Of      string `json:"of"`
}

const pageTokenVersion = "dashboard.kubevision.io/v1alpha1"

func readView(r *routes.Request, limit int64) (view, error) {
	v := view{search: strings.ToLower(r.Query(querySearch)), limit: int(limit)}
	var err error
	if v.order, err = readOrder(r.Query(querySortBy), r.Query(queryOrder)); err != nil {
		return view{}, err
	}
	sum := fnv.New64a()
	for _, name := range []string{authorization.ClusterParameter, objectref.Resource, objectref.Namespace} {
		_, _ = fmt.Fprintf(sum, "%q", r.Path(name))
	}
	for _, name := range []string{querySearch, querySortBy, queryOrder, queryLabelSelector, queryFieldSelector,
		queryMetrics, objectref.Namespace} {
		_, _ = fmt.Fprintf(sum, "%q", r.Query(name)) // writing to a hash never fails
	}
	v.listHash = strconv.FormatUint(sum.Sum64(), 16)
	token, ours := decodePageToken(r.Query(queryContinue))
	switch {
	case ours && (token.Of != v.listHash || token.Offset <= 0),
		!ours && v.needsWholeList() && r.Query(queryContinue) != "":
		return view{}, notOfThisList()
	case ours:
		v.offset = token.Offset
	}
	return v, nil
}

func decodePageToken(text string) (pageToken, bool) {
	var token pageToken
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &token) != nil {
		return pageToken{}, false
	}
	return token, token.Version == pageTokenVersion
}

// needsWholeList returns true if the page can be determined only from the whole list.
func (v view) needsWholeList() bool { return v.search != "" || v.order.isSet() || v.offset > 0 }

// next returns the token of the page that begins at offset.
func (v view) next(offset int) (string, error) {
	token, err := json.Marshal(pageToken{Version: pageTokenVersion, Offset: offset, Of: v.listHash})
	if err != nil {
		return "", fmt.Errorf("encoding a page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(token), nil
}

// matches returns true if the name, the namespace or a label of o contains the search text. Other values are not
// searched, because they may be confidential.
func (v view) matches(o objects.Object) (bool, error) {
	metadata, err := o.Metadata()
	if err != nil {
		return false, err
	}
	contains := func(text string) bool { return strings.Contains(strings.ToLower(text), v.search) }
	found := contains(metadata.Name) || contains(metadata.Namespace)
	err = o.EachLabel(func(key, value string) { found = found || contains(key+"="+value) })
	return found, err
}
