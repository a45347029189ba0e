// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// maxCrashes is the maximum number of crashes in one call of killRepeatedly. It limits the duration of a test, and is
// sufficient for a crash at each kind of step.
const maxCrashes = 5

// fuse kills kubevision-controller-manager while the program waits for the response of a registered cluster to a write.
// At every second crash, the cluster does not receive the write.
type fuse struct {
	front   *front
	burnt   chan struct{}
	crashes int
}

func newFuse(f *front) *fuse { return &fuse{front: f, burnt: make(chan struct{}, 1)} }

// light chooses one of the next three writes of kubevision-controller-manager to a registered cluster. The program is
// killed at this write.
func (f *fuse) light() {
	left, forward := f.crashes%3, f.crashes%2 == 0
	f.front.mu.Lock()
	defer f.front.mu.Unlock()
	f.front.handle = func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		f.front.mu.Lock()
		last := false
		if isWrite(r) {
			left--
			last = left < 0
		}
		f.front.mu.Unlock()
		if !last {
			next.ServeHTTP(w, r)
			return
		}
		if forward {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		select {
		case f.burnt <- struct{}{}:
		default:
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

func (f *fuse) putOut() {
	f.front.mu.Lock()
	defer f.front.mu.Unlock()
	f.front.handle = nil
}

func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && strings.HasPrefix(r.UserAgent(), "kubevision-controller-manager") &&
		!strings.HasSuffix(r.URL.Path, "reviews")
}

// killRepeatedly calls done until it returns no error. Meanwhile, kubevision-controller-manager is killed up to
// maxCrashes times, each time during a write. The test fails if there are fewer than three crashes.
func (f *fuse) killRepeatedly(t *testing.T, what string, done func(context.Context) error) {
	t.Helper()
	before := f.crashes
	f.light()
	defer f.putOut()
	if err := localcluster.Poll(t.Context(), 2*time.Minute, what, func(ctx context.Context) error {
		select {
		case <-f.burnt:
			if err := env.CrashControllers(ctx); err != nil {
				t.Fatal(err)
			}
			f.crashes++
			if f.crashes-before < maxCrashes {
				f.light()
			} else {
				f.putOut()
			}
		default:
		}
		return done(ctx)
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: the controllers were killed %d times", what, f.crashes-before)
	if f.crashes-before < 3 {
		t.Errorf("%s: the controllers were killed only %d times", what, f.crashes-before)
	}
}

// TestKilledOnTheWay verifies that the controllers complete their work although they crash during writes to a
// registered cluster. After the deletion of the registration, no object of KubeVision may remain in the cluster.
func TestKilledOnTheWay(t *testing.T) {
	member := theOther(t)
	nothingLeft(t, member)
	f := newFront(t, member)
	burning := newFuse(f)
	p := login(t, "survivor")
	ns := member.set().Namespace(t, "survivor")
	c := register(t, f.config(member.token(t)), nil)
	b := set().Bind(t, "survivor", fixture.Grant{
		Role: kubevisionv1alpha1.RoleDev, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Namespaces: []string{ns}, Unconnected: true,
	})
	burning.killRepeatedly(t, "place everything", func(ctx context.Context) error {
		if err := errors.Join(env.Client.Get(ctx, client.ObjectKeyFromObject(c), c),
			env.Client.Get(ctx, client.ObjectKeyFromObject(b), b)); err != nil {
			return fmt.Errorf("reading the object: %w", err)
		}
		if !meta.IsStatusConditionTrue(c.Status.Conditions, "Ready") ||
			!meta.IsStatusConditionTrue(b.Status.Conditions, "Ready") {
			return fmt.Errorf("not ready: %v, %v", c.Status.Conditions, b.Status.Conditions)
		}
		return nil
	})
	p.becomes(t, fixture.Patience, c.Name, "/namespaces/"+ns+"/resources/pods", wire.OK)
	want := []string{
		"kubevision-impersonator", "kubevision-impersonator", "kubevision-impersonator",
		"kubevision-reader", "kubevision-reader", "kubevision-reader", "kubevision-reader-view",
		"kubevision-system", "kubevision:admin",
		"kubevision:aggregate-cluster-view", "kubevision:aggregate-operate-nodes", "kubevision:binding:admin",
		"kubevision:binding:" + b.Name, "kubevision:dev", "kubevision:dev-cluster",
		"kubevision:ops", "kubevision:ops-cluster", "kubevision:readonly",
	}
	placed, err := managedObjectNames(t.Context(), member)
	if diff := cmp.Diff(want, placed); diff != "" || err != nil {
		t.Errorf("objects on the member (-want +got):\n%s%v", diff, err)
	}

	for _, o := range []client.Object{c, b} {
		if err := env.Client.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	burning.killRepeatedly(t, "remove everything", func(ctx context.Context) error {
		for _, o := range []client.Object{c, b} {
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s still exists (%w)", o.GetName(), err)
			}
		}
		return nil
	})
	nothingLeft(t, member)
}

func managedObjectNames(ctx context.Context, member *plane) ([]string, error) {
	var out []string
	for _, list := range []client.ObjectList{
		&rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{},
		&corev1.ServiceAccountList{}, &corev1.NamespaceList{},
	} {
		if err := member.admin.List(ctx, list,
			client.MatchingLabels{"app.kubernetes.io/managed-by": "kubevision"}); err != nil {
			return nil, fmt.Errorf("listing what is on the member: %w", err)
		}
		out = append(out, namesOf(list)...)
	}
	slices.Sort(out)
	return out, nil
}
