// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import "github.com/kubevision-io/kubevision/test/conformance/wire"

// call is an API request of the web UI, with the expected response.
type call struct {
	method, path string
	body         string
	code         int
	// fields contains the names of fields, separated by spaces. The data of the response, or the first item of a list,
	// must have these fields. "[]" means that the data must be an empty list.
	fields string
}

const unsupported = wire.Conflict

// Words in capitals are replaced: NAMESPACE with a namespace, USER with a user who is managed, DEPLOYMENT with a
// manifest, and WEB with the object that was created from the manifest.

// publicCalls returns the API requests that the web UI sends without a token.
func publicCalls() []call {
	return []call{
		{"GET", "/auth/public-key/config", "", wire.OK, "enabled"},
		{"GET", "/auth/oauth/providers", "", wire.OK, "[]"},
		{"POST", "/auth/login", `{"username":"nobody","password":"x","provider":"local"}`, wire.Unauthenticated, ""},
		{"POST", "/auth/refresh", `{"refreshToken":"x"}`, wire.Unauthenticated, ""},
		{"POST", "/auth/2fa/verify", `{"tempToken":"x","code":"123456"}`, wire.Unauthenticated, ""},
		{"POST", "/auth/2fa/recovery", `{"tempToken":"x","recoveryCode":"x"}`, wire.Unauthenticated, ""},
	}
}

// pageCalls returns the API requests that the web UI sends on pages about clusters, for example on the overview page.
func pageCalls() []call {
	return []call{
		{"GET", "/clusters", "", wire.OK, "id name status version apiServer"},
		{"GET", "/ai/config", "", wire.OK, "enabled baseURL model maxTokens hasApiKey"},
		{"GET", "/favorites", "", wire.OK, "[]"},
		{"GET", "/clusters/host/overview", "", wire.OK,
			"pods runningPods deployments services nodes namespaces resources " +
				"podStatusDistribution recentEvents"},
		{"GET", "/clusters/host/quota-summary?namespace=NAMESPACE", "", wire.OK, "namespaces"},
		{"GET", "/clusters/host/namespaces/NAMESPACE/topology", "", wire.OK, "nodes edges"},
		{"GET", "/clusters/host/search?q=web&limit=20", "", wire.OK, "results total"},
		{"GET", "/clusters/host/crds", "", wire.OK, "group version kind plural namespaced"},
		{"POST", "/clusters/host/crds/refresh", "", wire.OK, "group version kind plural namespaced"},
		{"POST", "/clusters", `{"name":"x","authType":"kubeconfig","kubeconfig":"x"}`, wire.Invalid, ""},
		{"DELETE", "/clusters/none", "", wire.ClusterNotFound, ""},
	}
}

func sidebar() []string {
	return []string{
		"pods", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "services", "ingresses", "configmaps",
		"secrets", "persistentvolumes", "persistentvolumeclaims", "storageclasses", "nodes", "namespaces", "events",
		"limitranges", "resourcequotas", "replicasets",
	}
}

// objectCalls returns the API requests that the web UI sends to display and change objects. The order matters, because
// one request creates the Deployment for later requests.
func objectCalls() []call {
	const (
		all = "/clusters/host/resources/deployments"
		web = all + "/web?namespace=NAMESPACE"
		one = "/clusters/host/namespaces/NAMESPACE/deployments/web"
		ref = `{"cluster":"host","namespace":"NAMESPACE","resource":"deployments","name":"web"}`
	)
	return []call{
		{"POST", all + "/dry-run?namespace=NAMESPACE", "DEPLOYMENT", wire.OK, "proposed valid"},
		{"POST", all + "?namespace=NAMESPACE", "DEPLOYMENT", wire.OK, "metadata"},
		{"GET", all + "?namespace=NAMESPACE", "", wire.OK, "apiVersion kind metadata"},
		{"GET", web, "", wire.OK, "apiVersion kind metadata"},
		{"PUT", all + "/web/dry-run?namespace=NAMESPACE", "WEB", wire.OK, "current proposed valid"},
		{"PUT", web, "WEB", wire.OK, "metadata"},
		{"PUT", one + "/scale", `{"replicas":2}`, wire.OK, "replicas"},
		{"POST", one + "/restart", "", wire.OK, ""},
		{"GET", one + "/history", "", wire.OK, "revision changeCause"},
		{"POST", one + "/rollback", `{"revision":0}`, wire.OK, "revision"},
		{"GET", "/clusters/host/resources/pods?namespace=NAMESPACE&includeMetrics=true", "", wire.OK, ""},
		{"GET", "/clusters/host/resources/events?namespace=NAMESPACE&fieldSelector=involvedObject.name=web", "",
			wire.OK, ""},
		{"POST", "/compare", `{"source":` + ref + `,"target":` + ref + `}`, wire.OK,
			"sourceYaml targetYaml sourceRef targetRef"},
		{"POST", "/clusters/host/batch-restart", `[{"kind":"deployments","name":"web","namespace":"NAMESPACE"}]`,
			wire.OK, "success"},
		{"POST", "/favorites/toggle", `{"clusterId":"host","namespace":"NAMESPACE","resourceType":"deployments",` +
			`"resourceName":"web","displayName":"web"}`, wire.OK, "favorited favorite"},
		{"GET", "/favorites", "", wire.OK,
			"id createdAt userId clusterId namespace resourceType resourceName displayName sortOrder"},
		{"GET", "/favorites/check?cluster_id=host&resource_type=deployments&name=web&namespace=NAMESPACE", "", wire.OK,
			"favorited favorite"},
		{"PUT", "/favorites/reorder", `{"orderedIds":[1]}`, wire.OK, ""},
		{"DELETE", "/favorites/1", "", wire.OK, ""},
		{"POST", "/favorites", `{"clusterId":"host","resourceType":"nodes","resourceName":"x"}`, wire.OK, "id"},
		{"GET", "/templates", "", wire.OK, "id createdAt name category resourceType content isBuiltin"},
		{"GET", "/registry-tags?image=nginx:1&limit=50", "", wire.OK, "reference tags cached"},
		{"POST", "/clusters/host/resources/batch-delete",
			`[{"resource":"deployments","name":"web","namespace":"NAMESPACE"}]`,
			wire.OK, "resource name namespace success"},
		{"DELETE", web, "", wire.NotFound, ""},
	}
}

func manageCalls() []call {
	return []call{
		{"GET", "/users", "", wire.OK, "id username email role isActive createdAt"},
		{"POST", "/users", `{"username":"USER","password":"a-Long-one-4711","role":"viewer"}`, wire.OK,
			"id username role isActive"},
		{"GET", "/users/USER", "", wire.OK, "id username"},
		{"PUT", "/users/USER", `{"role":"viewer","isActive":false}`, wire.OK, "id isActive"},
		{"PUT", "/users/USER/reset-password", `{"newPassword":"another-Long-1-0815"}`, wire.OK, ""},
		{"DELETE", "/users/USER", "", wire.OK, ""},
		{"PUT", "/users/me/password", `{"oldPassword":"wrong","newPassword":"another-Long-1-0815"}`,
			wire.Unauthenticated, ""},
		{"POST", "/auth/2fa/setup", `{}`, wire.OK, "secret otpauthUrl recoveryCodes"},
		{"POST", "/auth/2fa/enable", `{"code":"000000"}`, wire.TwoFactorFailed, ""},
		{"POST", "/auth/2fa/disable", `{"code":"000000"}`, wire.Conflict, ""},
	}
}

// absentCalls returns API requests of the web UI, mostly for features that KubeVision does not have. The last two
// requests are for WebSockets, which KubeVision has.
func absentCalls() []call {
	const releases, helm = "/clusters/host/package-releases", "/clusters/host/helm"
	return []call{
		{"GET", "/api-keys", "", wire.OK, "[]"},
		{"POST", "/api-keys", `{"name":"x"}`, unsupported, ""},
		{"DELETE", "/api-keys/1", "", unsupported, ""},
		{"GET", "/audit-logs?offset=0&limit=50", "", wire.OK, "[]"},
		{"GET", "/terminal-sessions?offset=0&limit=50", "", wire.OK, "[]"},
		{"GET", "/terminal-sessions/1/play", "", unsupported, ""},
		{"GET", "/webhooks", "", wire.OK, "[]"},
		{"POST", "/webhooks", `{"name":"x","url":"https://example.com"}`, unsupported, ""},
		{"PUT", "/webhooks/1", `{"name":"x"}`, unsupported, ""},
		{"POST", "/webhooks/1/test", "", unsupported, ""},
		{"DELETE", "/webhooks/1", "", unsupported, ""},
		{"GET", "/directory/config", "", wire.OK, "enabled serverUrl startTls bindDn userFilter fallbackRole mappings"},
		{"PUT", "/directory/config", `{"enabled":true}`, unsupported, ""},
		{"POST", "/directory/test", `{"enabled":true}`, unsupported, ""},
		{"POST", "/directory/preview", `{"identifier":"x"}`, unsupported, ""},
		{"GET", "/plugins", "", wire.OK, "[]"},
		{"GET", "/plugins/prometheus", "", unsupported, ""},
		{"PUT", "/plugins/prometheus", `{"enabled":true,"config":{}}`, unsupported, ""},
		{"GET", "/plugins/prometheus/health", "", unsupported, ""},
		{"GET", "/plugins/prometheus/query?query=up", "", unsupported, ""},
		{"GET", "/plugins/grafana/dashboards", "", unsupported, ""},
		{"GET", "/plugins/argocd/applications", "", unsupported, ""},
		{"GET", releases + "?namespace=NAMESPACE&limit=200", "", wire.OK, "[]"},
		{"GET", releases + "/NAMESPACE/x", "", unsupported, ""},
		{"GET", releases + "/NAMESPACE/x/history", "", unsupported, ""},
		{"POST", releases + "/preview/install", `{"releaseName":"x"}`, unsupported, ""},
		{"POST", releases + "/preview/upgrade", `{"releaseName":"x"}`, unsupported, ""},
		{"POST", releases + "/install", `{"releaseName":"x"}`, unsupported, ""},
		{"POST", releases + "/upgrade", `{"releaseName":"x"}`, unsupported, ""},
		{"POST", releases + "/NAMESPACE/x/check-upgrade", `{}`, unsupported, ""},
		{"POST", releases + "/NAMESPACE/x/rollback", `{"revision":1}`, unsupported, ""},
		{"DELETE", releases + "/NAMESPACE/x", `{"confirmation":"x"}`, unsupported, ""},
		{"GET", helm + "/repositories", "", wire.OK, "[]"},
		{"POST", helm + "/repositories", `{"name":"x"}`, unsupported, ""},
		{"PUT", helm + "/repositories/1", `{"name":"x"}`, unsupported, ""},
		{"DELETE", helm + "/repositories/1", "", unsupported, ""},
		{"POST", helm + "/repositories/1/test", `{}`, unsupported, ""},
		{"GET", helm + "/repositories/1/charts?q=x", "", unsupported, ""},
		{"GET", helm + "/artifact-hub/search?q=xy&limit=30", "", wire.OK, "[]"},
		{"POST", helm + "/charts/inspect", `{}`, unsupported, ""},
		{"POST", helm + "/charts/upload", "x", unsupported, ""},
		{"GET", helm + "/upgrade-policies", "", wire.OK, "[]"},
		{"POST", helm + "/upgrade-policies", `{}`, unsupported, ""},
		{"PUT", helm + "/upgrade-policies/1", `{}`, unsupported, ""},
		{"DELETE", helm + "/upgrade-policies/1", "", unsupported, ""},
		{"POST", helm + "/upgrade-policies/1/check", `{}`, unsupported, ""},
		{"GET", "/operations", "", wire.OK, "[]"},
		{"GET", "/operations/x", "", unsupported, ""},
		{"POST", "/operations/x/retry", "", unsupported, ""},
		{"PUT", "/ai/config", `{"enabled":true}`, unsupported, ""},
		{"POST", "/ai/models", `{"baseURL":"https://example.com"}`, unsupported, ""},
		{"POST", "/ai/chat", `{"messages":[]}`, unsupported, ""},
		{"POST", "/ai/continue-action", `{"sessionId":"x"}`, unsupported, ""},
		{"POST", "/auth/public-key/login/begin", `{"username":"x"}`, unsupported, ""},
		{"POST", "/auth/public-key/register/begin", `{"label":"x"}`, unsupported, ""},
		{"GET", "/auth/public-key/credentials", "", unsupported, ""},
		{"DELETE", "/auth/public-key/credentials/1", "", unsupported, ""},
		{"GET", "/auth/oauth/x/authorize", "", unsupported, ""},
		{"POST", "/ws/ticket", "", wire.OK, ""},
		{"GET", "/ws/watch?token=x", "", wire.Unauthenticated, ""}, // a token in the URL is ignored
	}
}
