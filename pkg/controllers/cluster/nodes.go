// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

const (
	// nodesPerPage is the limit of a request that lists nodes.
	nodesPerPage = 500
	// maxNodePage bounds the size of one page of a list of nodes, in bytes. Usual pages are several times smaller.
	maxNodePage = 1 << 20
	// maxNodePages bounds the number of pages of a list of nodes. If a cluster has more pages, its nodes are not
	// counted.
	maxNodePages = 40

	// maxContinue bounds the length of a continue token, in bytes.
	maxContinue = 4096

	acceptTable = "application/json;as=Table;v=v1;g=meta.k8s.io"
)

// errNodes is returned if a response is no table of nodes or is too large.
var errNodes = errors.New("the response is not a table of nodes, or is too large")

// nodeTable contains the fields of a metav1.Table that countNodes uses.
type nodeTable struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	ColumnDefinitions []struct {
		Name string `json:"name"`
	} `json:"columnDefinitions"`
	Rows []struct {
		Cells []json.RawMessage `json:"cells"`
	} `json:"rows"`
}

// countNodes returns the number of nodes and of ready nodes. It requests a Table with one row per node, as kubectl
// does. Node objects are much larger than rows, because they list all images on the node.
func countNodes(ctx context.Context, client rest.Interface) (kubevisionv1alpha1.NodeCount, error) {
	var count kubevisionv1alpha1.NodeCount
	next := ""
	for range maxNodePages {
		table, err := readNodes(ctx, client, next)
		if err != nil {
			return count, err
		}
		if err := table.addTo(&count); err != nil {
			return count, err
		}
		if next = table.Metadata.Continue; next == "" {
			return count, nil
		}
	}
	return count, errNodes
}

func readNodes(ctx context.Context, client rest.Interface, next string) (*nodeTable, error) {
	ctx, drop := clusters.WithTransientMemory(ctx)
	defer drop()
	request := client.Get().AbsPath("/api/v1/nodes").SetHeader("Accept", acceptTable).
		Param("limit", strconv.Itoa(nodesPerPage)).Param("includeObject", string(metav1.IncludeNone))
	if next != "" {
		request = request.Param("continue", next)
	}
	stream, err := request.Stream(ctx)
	if err != nil {
		return nil, response.Error(ctx, err)
	}
	defer func() { _ = stream.Close() }()
	body, err := io.ReadAll(io.LimitReader(stream, maxNodePage+1))
	if err != nil {
		return nil, response.Error(ctx, err)
	}
	table := &nodeTable{}
	if len(body) > maxNodePage || json.Unmarshal(body, table) != nil {
		return nil, errNodes
	}
	if table.Kind != "Table" || len(table.Metadata.Continue) > maxContinue {
		return nil, errNodes
	}
	return table, nil
}

// addTo adds the rows of the table to the count. The status of a node is a list such as Ready,SchedulingDisabled. A
// node is ready if the list contains Ready.
func (t *nodeTable) addTo(count *kubevisionv1alpha1.NodeCount) error {
	column := -1
	for i := range t.ColumnDefinitions {
		if t.ColumnDefinitions[i].Name == "Status" {
			column = i
			break
		}
	}
	for i := range t.Rows {
		var status string
		if column < 0 || column >= len(t.Rows[i].Cells) || json.Unmarshal(t.Rows[i].Cells[column], &status) != nil {
			return errNodes
		}
		count.Total++
		if slices.Contains(strings.Split(status, ","), string(corev1.NodeReady)) {
			count.Ready++
		}
	}
	return nil
}
