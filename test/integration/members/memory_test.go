// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/environment"
)

var attackTime = flag.Duration("flood", 5*time.Second, "how long a hostile member goes on")

// peak returns the largest resident memory of a process since the last call, in MiB.
func peak(t *testing.T, pid int) uint64 {
	t.Helper()
	memory, err := localcluster.ReadMemory(pid)
	if err == nil {
		err = localcluster.ForgetPeak(pid)
	}
	if err != nil {
		t.Fatal(err)
	}
	return memory.Peak >> 20
}

// longAttack is the minimum duration of a long attack. After a shorter attack, a test does not wait for the recovery
// from LimitExceeded, because the recovery takes half a minute.
const longAttack = 5 * time.Second

func limitExceeded(t *testing.T, c *kubevisionv1alpha1.KubeVisionCluster) bool {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		t.Fatal(err)
	}
	reachable := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterReachableCondition)
	return reachable != nil && reachable.Reason == kubevisionv1alpha1.ReasonLimitExceeded
}

// pour writes the prefix, and then repeats the chunk until the client disconnects or a gigabyte is written.
func pour(w http.ResponseWriter, compressed bool, prefix, chunk string) {
	w.Header().Set("Content-Type", "application/json")
	to := io.Writer(w)
	if compressed {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }()
		to = z
	}
	if _, err := io.WriteString(to, prefix); err != nil {
		return
	}
	many := bytes.Repeat([]byte(chunk), 1+(1<<20)/len(chunk))
	for range 1 << 10 {
		if _, err := to.Write(many); err != nil {
			return
		}
	}
}

// TestMemoryOfControllers verifies that the controller manager stays within the memory limit when a registered cluster
// sends too much data. The data must affect only the conditions of this cluster.
func TestMemoryOfControllers(t *testing.T) {
	if environment.DetectsRaces() {
		t.Skip("the race detector needs several times the memory; make test-limits runs this test without it")
	}
	member := theOther(t)
	set().HostCluster(t, "host")
	p := login(t, "elsewhere")
	program := env.KubeVision.ControllerManager()
	pid, limit := program.PID(), program.MemoryLimit().Bytes>>20
	if limit == 0 {
		t.Fatal("the controller manager runs without a limit")
	}
	t.Logf("%d MiB before", peak(t, pid))
	watching := func(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }
	const roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
	item, event := `{"metadata":{"name":"a"}},`, `{"type":"ADDED","object":{"kind":"PartialObjectMetadata",`+
		`"apiVersion":"meta.k8s.io/v1","metadata":{"name":"%d","resourceVersion":"1"}}}`
	for name, test := range map[string]struct {
		matches func(*http.Request) bool
		answer  http.HandlerFunc
	}{
		"nodes": {func(r *http.Request) bool { return r.URL.Path == "/api/v1/nodes" },
			func(w http.ResponseWriter, _ *http.Request) {
				pour(w, false, `{"kind":"NodeList","apiVersion":"v1","items":[`, item)
			}},
		"compressed nodes": {func(r *http.Request) bool { return r.URL.Path == "/api/v1/nodes" },
			func(w http.ResponseWriter, _ *http.Request) {
				pour(w, true, `{"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[`,
					`{"cells":["`+strings.Repeat("x", 1000)+`"]},`)
			}},
		"version": {func(r *http.Request) bool { return r.URL.Path == "/version" },
			func(w http.ResponseWriter, _ *http.Request) {
				pour(w, true, `{"gitVersion":"v1.36.3`, "x")
			}},
		"namespace": {func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/kube-system") },
			func(w http.ResponseWriter, _ *http.Request) {
				pour(w, true, `{"kind":"Namespace","apiVersion":"v1","metadata":{"finalizers":[`, `"",`)
			}},
		"one list": {func(r *http.Request) bool { return r.URL.Path == roles },
			func(w http.ResponseWriter, r *http.Request) {
				if watching(r) {
					answering(http.StatusUnprocessableEntity, "application/json",
						status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid))(w, r)
					return
				}
				pour(w, true, `{"kind":"ClusterRoleList","apiVersion":"rbac.authorization.k8s.io/v1",`+
					`"metadata":{"resourceVersion":"1"},"items":[`, "{},")
			}},
		"endless pages": {func(r *http.Request) bool { return r.URL.Path == roles },
			func(w http.ResponseWriter, r *http.Request) {
				if watching(r) {
					answering(http.StatusUnprocessableEntity, "application/json",
						status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid))(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"kind":"ClusterRoleList","apiVersion":"rbac.authorization.k8s.io/v1",`+
					`"metadata":{"resourceVersion":"1","continue":"next"},"items":[`+
					strings.Repeat(item, 10_000)+`{}]}`)
			}},
		"endless events": {func(r *http.Request) bool { return r.URL.Path == roles && watching(r) },
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for i := range 10_000_000 {
					if _, err := fmt.Fprintf(w, event, i); err != nil {
						return
					}
				}
			}},
		"one event": {func(r *http.Request) bool { return r.URL.Path == roles && watching(r) },
			func(w http.ResponseWriter, _ *http.Request) {
				pour(w, true, `{"type":"ADDED","object":{"metadata":{"name":"a","finalizers":[`, `"",`)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFalseServer(t, member.Config())
			f.fault.Store(new(func(r *http.Request) http.HandlerFunc {
				if test.matches(r) {
					return test.answer
				}
				return nil
			}))
			c := register(t, f.config(registeredToken), nil)
			condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse, "")
			for end := time.Now().Add(*attackTime); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				if now := program.PID(); now != pid {
					t.Fatalf("the controller manager has ended")
				}
			}
			if got := peak(t, pid); got >= limit {
				t.Errorf("the controller manager has taken %d MiB, want less than %d", got, limit)
			} else {
				t.Logf("%d MiB", got)
			}
			if *attackTime < longAttack && limitExceeded(t, c) {
				return
			}
			f.fault.Store(nil)
			ready(t, c) // the member recovers
			set().Bind(t, "elsewhere", fixture.Grant{Role: kubevisionv1alpha1.RoleReadonly,
				Subjects: fixture.KubeVisionUsers(p.User), Cluster: "host"})
		})
	}
}

// TestMemoryOfManyMembers verifies that the controller manager limits the total memory for all registered clusters.
// Each of the clusters alone stays below the limit for a single cluster. The cluster that was registered first must
// remain Ready.
func TestMemoryOfManyMembers(t *testing.T) {
	if environment.DetectsRaces() {
		t.Skip("the race detector needs several times the memory; make test-limits runs this test without it")
	}
	member := theOther(t)
	program := env.KubeVision.ControllerManager()
	pid, limit := program.PID(), program.MemoryLimit().Bytes>>20
	t.Logf("%d MiB before", peak(t, pid))
	well := register(t, member.Config(), nil)
	ready(t, well)
	for range 6 {
		f := newFalseServer(t, member.Config())
		f.fault.Store(new(func(r *http.Request) http.HandlerFunc {
			if strings.HasSuffix(r.URL.Path, "/clusterroles") && r.URL.Query().Get("watch") != "" &&
				strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata") {
				return manyRoles
			}
			return nil
		}))
		register(t, f.config(registeredToken), nil)
	}
	for end := time.Now().Add(max(20*time.Second,
		*attackTime)); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now := program.PID(); now != pid {
			t.Fatal("the controller manager has ended")
		}
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(well), well); err != nil {
			t.Fatal(err)
		}
		if !meta.IsStatusConditionTrue(well.Status.Conditions, kubevisionv1alpha1.ReadyCondition) {
			t.Fatalf("an older member has lost its connection: %+v", well.Status.Conditions)
		}
	}
	if got := peak(t, pid); got >= limit {
		t.Errorf("the controller manager has taken %d MiB, want less than %d", got, limit)
	} else {
		t.Logf("%d MiB", got)
	}
}

// manyRoles responds to a watch request with ClusterRoles that KubeVision counts as about 110 MiB of memory. The
// ClusterRoles have many labels, because labels need more memory than other metadata.
func manyRoles(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	const object = `{"type":"%s","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",` +
		`"metadata":{%s"resourceVersion":"1"}}}`
	var labels strings.Builder
	for i := range 500 {
		fmt.Fprintf(&labels, `"l%d":"v",`, i)
	}
	for i := range 4_300 {
		fields := fmt.Sprintf(`"name":"role-%d","labels":{%s"last":"v"},`, i, &labels)
		if _, err := fmt.Fprintf(w, object, "ADDED", fields); err != nil {
			return
		}
	}
	_, _ = fmt.Fprintf(w, object, "BOOKMARK", `"annotations":{"k8s.io/initial-events-end":"true"},`)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}
