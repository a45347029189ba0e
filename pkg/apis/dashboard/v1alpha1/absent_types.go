// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// AbsentListEnvelope is an empty list for a feature that KubeVision does not have, for example plugins. Dashboards
// request these lists when they load a page.
type AbsentListEnvelope struct {
	Header `json:",inline"`
	// data is always an empty list, because KubeVision does not have the requested feature. Dashboards expect a list.
	// +optional
	// +listType=atomic
	Data []string `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// AbsentFeature is the state of a feature that KubeVision does not have. Dashboards read this state.
type AbsentFeature struct {
	// enabled is always false, because KubeVision does not have the feature.
	Enabled bool `json:"enabled"`
}

// AbsentFeatureEnvelope is the response to GET /auth/public-key/config. KubeVision has no passkeys, but dashboards send
// the request when they load a page.
type AbsentFeatureEnvelope struct {
	Header `json:",inline"`
	// data is always {"enabled": false}, because KubeVision has no passkeys.
	// +optional
	Data *AbsentFeature `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// AIConfig contains the settings of an AI assistant. KubeVision has no AI assistant and returns fixed values, because
// dashboards request the settings.
type AIConfig struct {
	// enabled is always false, because KubeVision has no AI assistant. Dashboards expect the field.
	Enabled bool `json:"enabled"`
	// baseURL is always empty, because KubeVision has no AI assistant. Dashboards expect the field.
	BaseURL string `json:"baseURL"`
	// model is always empty, because KubeVision has no AI assistant. Dashboards expect the field.
	Model string `json:"model"`
	// maxTokens is always 0, because KubeVision has no AI assistant. Dashboards expect the field.
	MaxTokens int32 `json:"maxTokens"`
	// hasApiKey is always false, because KubeVision has no AI assistant. Dashboards expect the field.
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

// DirectoryConfig contains the settings of an external user directory. KubeVision uses no user directory and returns
// fixed values, because dashboards request the settings.
type DirectoryConfig struct {
	// enabled is always false, because KubeVision uses no user directory. Dashboards expect the field.
	Enabled bool `json:"enabled"`
	// serverUrl is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	ServerURL string `json:"serverUrl"`
	// startTls is always true. The value has no effect, because KubeVision uses no user directory. Dashboards expect
	// the field.
	StartTLS bool `json:"startTls"`
	// allowPlaintext is always false, because KubeVision uses no user directory. Dashboards expect the field.
	AllowPlaintext bool `json:"allowPlaintext"`
	// caBundle is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	CABundle string `json:"caBundle"`
	// bindDn is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	BindDN string `json:"bindDn"`
	// credentialConfigured is always false, because KubeVision uses no user directory. Dashboards expect the field.
	CredentialConfigured bool `json:"credentialConfigured"`
	// connectTimeoutSecs is always 0, because KubeVision uses no user directory. Dashboards expect the field.
	ConnectTimeoutSecs int32 `json:"connectTimeoutSecs"`
	// searchTimeoutSecs is always 0, because KubeVision uses no user directory. Dashboards expect the field.
	SearchTimeoutSecs int32 `json:"searchTimeoutSecs"`
	// userBaseDn is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	UserBaseDN string `json:"userBaseDn"`
	// userFilter is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	UserFilter string `json:"userFilter"`
	// stableIdAttribute is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	StableIDAttribute string `json:"stableIdAttribute"`
	// usernameAttribute is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	UsernameAttribute string `json:"usernameAttribute"`
	// displayAttribute is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	DisplayAttribute string `json:"displayAttribute"`
	// emailAttribute is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	EmailAttribute string `json:"emailAttribute"`
	// groupAttribute is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	GroupAttribute string `json:"groupAttribute"`
	// fallbackRole is always empty, because KubeVision uses no user directory. Dashboards expect the field.
	FallbackRole string `json:"fallbackRole"`
	// refreshMapping is always false, because KubeVision uses no user directory. Dashboards expect the field.
	RefreshMapping bool `json:"refreshMapping"`
	// mappings is always empty, because KubeVision uses no user directory. Dashboards expect the field.
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
