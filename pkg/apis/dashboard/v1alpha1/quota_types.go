// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// QuotaSummary are the quotas of the namespaces that the caller may read.
type QuotaSummary struct {
	// namespaces are those with quotas, by name.
	// +listType=map
	// +listMapKey=namespace
	Namespaces []NamespaceQuotas `json:"namespaces"`
}

// NamespaceQuotas are the quotas of a namespace.
type NamespaceQuotas struct {
	// namespace is the name of the namespace.
	Namespace string `json:"namespace"`
	// quotas are its ResourceQuotas, by name.
	// +listType=map
	// +listMapKey=name
	Quotas []Quota `json:"quotas"`
}

// Quota is a ResourceQuota.
type Quota struct {
	// name is the name of the ResourceQuota.
	Name string `json:"name"`
	// hard is what may be used at most, by resource.
	Hard map[string]string `json:"hard"`
	// used is what is used, by resource.
	Used map[string]string `json:"used"`
}

// QuotaSummaryEnvelope is the answer to GET
// /clusters/{cluster}/quota-summary.
type QuotaSummaryEnvelope struct {
	Header `json:",inline"`
	// data are the quotas.
	// +optional
	Data *QuotaSummary `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
