// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/spec3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// attack is a request to change an object that grants rights. The server must ask for a one-time code.
type attack struct {
	operation string
	request   wire.Request
	// object is the object that the request creates, changes or deletes. A request without a one-time code of the
	// second factor must not have an effect on the object.
	object       client.Object
	wantWithCode int
}

// exemptOperations returns the write operations that are allowed without an additional one-time code. The result maps
// the ID of each operation to the reason for the exemption.
func exemptOperations() map[string]string {
	const (
		own       = "is about the caller, and asks for a password, a token or a code itself"
		trial     = "writes nothing"
		asks      = "asks the cluster"
		favorites = "changes the caller's favorites, which give nobody a right"
	)
	out := map[string]string{
		"logout": "ends the caller's own session", "endOwnSession": "ends a session of the caller", "testCluster": asks,
		"refreshCustomResources": asks,
		"compareObjects":         asks,
		"addFavorite":            favorites, "toggleFavorite": favorites, "reorderFavorites": favorites,
		"deleteFavorite": favorites,
		"cordonNode":     "gives nobody a right", "uncordonNode": "gives nobody a right",
		"createTicket": "opens a stream, for which the code is asked",
		"drainNode":    "evicts Pods, which their controllers make again",
	}
	for _, operation := range []string{
		"login", "refresh", "verifyTwoFactor", "recoverTwoFactor", "setUpTwoFactor", "enableTwoFactor",
		"disableTwoFactor", "renewRecoveryCodes",
		"reverifyTwoFactor",
		"changeOwnPassword",
	} {
		out[operation] = own
	}
	for _, scope := range []string{"Cluster", "Namespace"} {
		for _, try := range []string{"Create", "Replace", "Patch"} {
			out["try"+try+scope+"Object"] = trial
		}
	}
	return out
}

// TestEveryDoorAsksForACode verifies that an administrator with a second factor needs a one-time code to change objects
// that grant rights:
//   - A request without a one-time code is rejected, and does not change the object.
//   - The same request with a one-time code is accepted.
//   - A second request with the same code is rejected.
//
// The test covers all write operations of the API, except the result of exemptOperations.
func TestEveryDoorAsksForACode(t *testing.T) {
	c, manager := direct(t), newActor(t, "admin")
	made := enrol(t, manager)
	attacks := slices.Concat(managementAttacks(t), creationAttacks(t), changeAttacks(t), deletionAttacks(t),
		actionAttacks(t))
	covered := exemptOperations()
	for _, a := range attacks {
		covered[a.operation] = "attacked"
	}
	for _, operation := range writeOperations(t) {
		if covered[operation] == "" {
			t.Errorf("operation %s is neither an attack nor exempt: add it to one of the two", operation)
		}
	}
	for i, a := range attacks {
		t.Run(fmt.Sprintf("%02d %s", i, a.operation), func(t *testing.T) {
			r := as(manager.AccessToken, a.request)
			before := stateOf(t, a.object)
			if e := c.Call(t, r).Want(t, wire.TwoFactorRequired); !strings.Contains(string(e.Data), `"reverify":true`) {
				t.Errorf("the response does not name the missing right: %s", e.Data)
			}
			if after := stateOf(t, a.object); after != before {
				t.Errorf("%T %s was %q and is %q", a.object, a.object.GetName(), before, after)
			}
			fresh := code(t, made.Secret, 0)
			c.Call(t, withCode(fresh, r)).Want(t, a.wantWithCode)
			if e := c.Call(t, withCode(fresh, r)); e.Code == wire.OK && string(e.Data) != `{"revoked":0}` {
				t.Errorf("the code was accepted twice: %s", e.Data)
			}
			forget(t, manager.User, "lastStep")
			if factor := storedCredentials(t, manager.User).Data["secondFactor"]; strings.Contains(string(factor),
				"inSessions") {
				forget(t, manager.User, "inSessions")
			}
		})
	}
}

func writeOperations(t *testing.T) []string {
	t.Helper()
	document := &spec3.OpenAPI{}
	response := direct(t, admin()).Send(t,
		wire.Request{Path: "/openapi/v3" + wire.GroupPath, Header: http.Header{"Accept": {"application/json"}}})
	if err := json.Unmarshal(response.Body, document); err != nil {
		t.Fatalf("%v: %.200s", err, response.Body)
	}
	operations := map[string]bool{}
	for path, item := range document.Paths.Paths {
		if strings.Trim(strings.TrimPrefix(path, wire.GroupPath), "/") == "" {
			continue // the path belongs to discovery
		}
		for _, o := range []*spec3.Operation{item.Post, item.Put, item.Patch, item.Delete} {
			if o != nil {
				operations[o.OperationId] = true
			}
		}
	}
	if len(operations) < 40 {
		t.Fatalf("the document has only the operations %v", operations)
	}
	return slices.Sorted(maps.Keys(operations))
}

// stateOf returns a text for the comparison of two versions of the object o. Updates by controllers, for example of the
// status, do not change the text. The text is empty if the object does not exist.
func stateOf(t *testing.T, o client.Object) string {
	t.Helper()
	found, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		t.Fatalf("copying a %T", o)
	}
	err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(o), found)
	if apierrors.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	if found.GetGeneration() > 0 {
		return fmt.Sprint(found.GetUID(), found.GetGeneration(), found.GetDeletionTimestamp(),
			found.GetAnnotations()["kubevision.io/reset-two-factor"])
	}
	return fmt.Sprint(found.GetUID(), found.GetResourceVersion())
}

func inSystem(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: system, Name: name} }

func viewers(name string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "nobody-" + name}},
	}
}

func typed(mediaType string, r wire.Request) wire.Request {
	r.Header = http.Header{"Content-Type": {mediaType}}
	return r
}

func patch(t *testing.T, mediaType, path string, body any) wire.Request {
	t.Helper()
	r := post(t, path, body)
	r.Method = http.MethodPatch
	return typed(mediaType, r)
}

func secretOf(kind corev1.SecretType, namespace, name string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"},
		}, Type: kind,
	}
}

// later registers the object o for deletion at the end of the test, and returns o. The object need not exist yet.
func later[O client.Object](t *testing.T, o O) O {
	t.Helper()
	set().Later(t, o)
	return o
}

func existing[O client.Object](t *testing.T, o O) O {
	t.Helper()
	set().Create(t, o)
	return o
}
