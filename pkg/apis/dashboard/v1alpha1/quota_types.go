// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// QuotaSummary contains the ResourceQuotas that the caller may list.
type QuotaSummary struct {
	// namespaces contains the namespaces that have ResourceQuotas, sorted by name.
	// +listType=map
	// +listMapKey=namespace
	Namespaces []NamespaceQuotas `json:"namespaces"`
}

// NamespaceQuotas contains the quotas of a namespace.
type NamespaceQuotas struct {
	// namespace is the name of the namespace.
	Namespace string `json:"namespace"`
	// quotas contains the ResourceQuotas of the namespace, sorted by name.
	// +listType=map
	// +listMapKey=name
	Quotas []Quota `json:"quotas"`
}

// Quota is a ResourceQuota.
type Quota struct {
	// name is the name of the ResourceQuota.
	Name string `json:"name"`
	// hard is the limit of each resource.
	Hard map[string]string `json:"hard"`
	// used is the usage of each resource.
	Used map[string]string `json:"used"`
}

// QuotaSummaryEnvelope is the response to GET /clusters/{cluster}/quota-summary.
type QuotaSummaryEnvelope struct {
	Header `json:",inline"`
	// data contains the quotas.
	// +optional
	Data *QuotaSummary `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
