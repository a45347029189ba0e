// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// AbsentListEnvelope is the response to a list of objects of a feature that KubeVision does not have.
type AbsentListEnvelope struct {
	Header `json:",inline"`
	// data is always empty.
	// +optional
	// +listType=atomic
	Data []string `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// AbsentFeature describes a feature that KubeVision does not have.
type AbsentFeature struct {
	// enabled is always false.
	Enabled bool `json:"enabled"`
}

// AbsentFeatureEnvelope is the response to a request for the state of a feature that KubeVision does not have.
type AbsentFeatureEnvelope struct {
	Header `json:",inline"`
	// data describes the missing feature.
	// +optional
	Data *AbsentFeature `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// AIConfig contains the settings of an AI assistant. They have fixed values, because KubeVision has no assistant.
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

// AIConfigEnvelope is the response to GET /ai/config.
type AIConfigEnvelope struct {
	Header `json:",inline"`
	// data contains the settings.
	// +optional
	Data *AIConfig `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// DirectoryConfig contains the settings of a user directory. They have fixed values, because KubeVision uses no
// directory.
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

// DirectoryConfigEnvelope is the response to GET /directory/config.
type DirectoryConfigEnvelope struct {
	Header `json:",inline"`
	// data contains the settings.
	// +optional
	Data *DirectoryConfig `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
