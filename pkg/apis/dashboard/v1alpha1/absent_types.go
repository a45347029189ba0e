// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// AbsentListEnvelope is the answer where a dashboard lists objects of a
// feature that KubeVision does not have.
type AbsentListEnvelope struct {
	Header `json:",inline"`
	// data is always empty.
	// +optional
	// +listType=atomic
	Data []string `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// AbsentFeature says that KubeVision does not have a feature.
type AbsentFeature struct {
	// enabled is always false.
	Enabled bool `json:"enabled"`
}

// AbsentFeatureEnvelope is the answer where a dashboard asks whether there is
// a feature that KubeVision does not have.
type AbsentFeatureEnvelope struct {
	Header `json:",inline"`
	// data says that there is no such feature.
	// +optional
	Data *AbsentFeature `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// AIConfig says that there is no assistant.
type AIConfig struct {
	// enabled is always false.
	Enabled bool `json:"enabled"`
	// baseURL is always empty.
	BaseURL string `json:"baseURL"`
	// model is always empty.
	Model string `json:"model"`
	// maxTokens is always 0.
	MaxTokens int32 `json:"maxTokens"`
	// hasApiKey is always false.
	HasAPIKey bool `json:"hasApiKey"`
}

// AIConfigEnvelope is the answer to GET /ai/config.
type AIConfigEnvelope struct {
	Header `json:",inline"`
	// data says that there is no assistant.
	// +optional
	Data *AIConfig `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// DirectoryConfig says that no directory of users is asked, in the form in
// which dashboards show the settings of one.
type DirectoryConfig struct {
	// enabled is always false.
	Enabled bool `json:"enabled"`
	// serverUrl is always empty.
	ServerURL string `json:"serverUrl"`
	// startTls is always true.
	StartTLS bool `json:"startTls"`
	// allowPlaintext is always false.
	AllowPlaintext bool `json:"allowPlaintext"`
	// caBundle is always empty.
	CABundle string `json:"caBundle"`
	// bindDn is always empty.
	BindDN string `json:"bindDn"`
	// credentialConfigured is always false.
	CredentialConfigured bool `json:"credentialConfigured"`
	// connectTimeoutSecs is always 0.
	ConnectTimeoutSecs int32 `json:"connectTimeoutSecs"`
	// searchTimeoutSecs is always 0.
	SearchTimeoutSecs int32 `json:"searchTimeoutSecs"`
	// userBaseDn is always empty.
	UserBaseDN string `json:"userBaseDn"`
	// userFilter is always empty.
	UserFilter string `json:"userFilter"`
	// stableIdAttribute is always empty.
	StableIDAttribute string `json:"stableIdAttribute"`
	// usernameAttribute is always empty.
	UsernameAttribute string `json:"usernameAttribute"`
	// displayAttribute is always empty.
	DisplayAttribute string `json:"displayAttribute"`
	// emailAttribute is always empty.
	EmailAttribute string `json:"emailAttribute"`
	// groupAttribute is always empty.
	GroupAttribute string `json:"groupAttribute"`
	// fallbackRole is always empty.
	FallbackRole string `json:"fallbackRole"`
	// refreshMapping is always false.
	RefreshMapping bool `json:"refreshMapping"`
	// mappings is always empty.
	// +listType=atomic
	Mappings []string `json:"mappings"`
}

// DirectoryConfigEnvelope is the answer to GET /directory/config.
type DirectoryConfigEnvelope struct {
	Header `json:",inline"`
	// data says that no directory is asked.
	// +optional
	Data *DirectoryConfig `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
