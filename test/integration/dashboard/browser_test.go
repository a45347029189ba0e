// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	actionTimeout = 30 * time.Second
	pause         = 50 * time.Millisecond
)

// chromium returns the path of Chromium or Chrome. If neither is installed, chromium skips the test.
func chromium(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	const notice = "Chromium was not found, so that no browser tries the dashboard"
	fmt.Fprintln(os.Stderr, "notice: "+notice+": "+tb.Name()+" is skipped")
	tb.Skip(notice)
	return ""
}

type tab struct {
	testing.TB

	run  func(...chromedp.Action[chromedp.Void]) error
	base string
}

func newTab(tb testing.TB, endpoint string) *tab {
	tb.Helper()
	c, err := wire.New(endpoint, env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	served := c.Dial(tb).ConnectionState().PeerCertificates[0]
	key := sha256.Sum256(served.RawSubjectPublicKeyInfo)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(tb)), chromedp.NoSandbox, chromedp.UserDataDir(tb.TempDir()),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:])),
	)
	ctx, stopBrowser := chromedp.NewExecAllocator(tb.Context(), options...)
	tb.Cleanup(stopBrowser)
	ctx, closeTab := chromedp.NewContext(ctx)
	tb.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("start the browser: %v", err)
	}
	return &tab{TB: tb, base: endpoint, run: func(steps ...chromedp.Action[chromedp.Void]) error {
		step, cancel := context.WithTimeout(ctx, actionTimeout)
		defer cancel()
		return chromedp.Do(step, steps...)
	}}
}

func (t *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := t.run(steps...); err != nil {
		var status string
		_ = t.run(evaluate(`document.getElementById("status")?.textContent ?? location.href`, &status))
		t.Fatalf("%s: %v; the page says %q", what, err, status)
	}
}

func evaluate[T any](expression string, into *T) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) (err error) {
		*into, err = chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise)(ctx, t)
		return err
	})
}

func until(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(pause))
}

func typed(id, text string) chromedp.Action[chromedp.Void] {
	return chromedp.SetValue(chromedp.CSS(id), text)
}

func click(id string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(id)) }

func (t *tab) logIn(u fixture.User) {
	t.Helper()
	t.do("log in", typed("#username", u.Name), typed("#password", u.Password), click("#login button"))
}

// TestBrowser verifies that Chromium can use a dashboard that KubeVision serves. A user sets up a second factor, and
// logs in with it. The user then compares and edits objects, changes the order of favorites, and creates another user.
func TestBrowser(t *testing.T) {
	chromium(t)
	set().HostCluster(t, host)
	u, namespace := set().User(t, "browser"), set().Namespace(t, "browser")
	set().Bind(t, "browser", fixture.Grant{Role: "admin", Subjects: fixture.KubeVisionUsers(u), Cluster: host})
	for _, name := range []string{"web", "other"} {
		set().Create(t, deploymentOf(namespace, name))
	}
	page := newTab(t, withPage(t).Endpoint())
	secret := page.enrol(u)
	page.do("open the page of an object",
		chromedp.Navigate(page.base+"/deployments/web?compare=other&namespace="+namespace))
	page.logIn(u)
	page.do("show the second factor", until(`document.body.dataset.challenge === "due"`),
		typed("#code", fixture.Code(t, secret, 0)), click("#login button"))
	var objects, compared string
	page.do("list and compare", until(`document.getElementById("user-list").children.length > 0`),
		evaluate(`document.getElementById("list").textContent`, &objects),
		evaluate(`document.getElementById("compared").textContent`, &compared))
	if !strings.Contains(objects, "web") || !strings.Contains(objects, "other") {
		t.Errorf("the list is %q", objects)
	}
	if !strings.Contains(compared, "name: web") || !strings.Contains(compared, "name: other") {
		t.Errorf("compared are %q", compared)
	}
	page.reorder()
	page.edit(namespace)
	page.createUser(fixture.Code(t, secret, 1))
	page.stayed()
}

// enrol sets up a second factor for a user, and returns the secret of the second factor. The page first requests the QR
// code from another site. enrol verifies that the content security policy blocks this request. A script of KubeVision
// must insert an image from KubeVision's API instead.
func (t *tab) enrol(u fixture.User) string {
	t.Helper()
	t.do("open the page", chromedp.Navigate(t.base+"/"))
	t.logIn(u)
	var secret, code string
	var blocked []string
	t.do("set up a second factor", until("!!document.body.dataset.user"), click("#setup"),
		until(`document.getElementById("qr").naturalWidth > 100`),
		evaluate(`document.getElementById("secret").textContent`, &secret),
		evaluate(`document.getElementById("qr").src`, &code), evaluate("window.violations", &blocked))
	if !strings.HasPrefix(code, "data:image/png;base64,") {
		t.Errorf("the QR code is %.40s", code)
	}
	if len(blocked) != 1 || !strings.HasPrefix(blocked[0], "https://qr.example.com/") {
		t.Errorf("the policy has blocked %v", blocked)
	}
	t.do("enable it", typed("#first-code", fixture.Code(t, secret, -1)), click("#enable"),
		until(`document.body.dataset.enabled === "yes"`))
	t.stayed()
	return secret
}

func (t *tab) reorder() {
	t.Helper()
	const names = `[...document.querySelectorAll("#favorites li")].map((item) => item.dataset.name).join()`
	t.do("mark two favorites", click(`#list li[data-name="web"] button`), until(names+` === "web"`),
		click(`#list li[data-name="other"] button`), until(names+` === "web,other"`))
	t.do("move the second one up", click(`#favorites li[data-name="other"] button`),
		until(names+` === "other,web"`))
	t.do("reload the page", chromedp.Reload(), until(names+` === "other,web"`),
		until(`document.getElementById("user-list").children.length > 0`))
}

func (t *tab) edit(namespace string) {
	t.Helper()
	const (
		text  = `document.getElementById("manifest").value`
		scale = text + ` = ` + text + `.replace('"replicas": 1,', '"replicas": 3,')`
	)
	var diff, changed string
	t.do("try a change", evaluate(scale, &changed), click("#try"),
		until(`document.getElementById("diff").textContent.includes("replicas: 3")`),
		evaluate(`document.getElementById("diff").textContent`, &diff))
	if !strings.Contains(diff, "-  replicas: 1\n") || !strings.Contains(diff, "+  replicas: 3\n") {
		t.Errorf("the difference is %q", diff)
	}
	var d appsv1.Deployment
	fixture.Eventually(t, "apply the change", func(ctx context.Context) error { // a controller may write in between
		t.do("apply the change", evaluate("show().then(() => 'shown')", &changed), evaluate(scale, &changed),
			click("#apply"))
		if err := env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "web"}, &d); err != nil {
			return err
		}
		if *d.Spec.Replicas != 3 {
			return fmt.Errorf("it has %d replicas", *d.Spec.Replicas)
		}
		return nil
	})
}

// createUser creates a user through the page. The API requires a one-time code that was not used before.
func (t *tab) createUser(oneTimeCode string) {
	t.Helper()
	name := fixture.Name("made")
	set().Later(t, &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name}})
	t.do("make a user", typed("#new-user", name), typed("#new-password", "a-Long-one-4711"),
		typed("#fresh-code", oneTimeCode), click("#users button"),
		until(`document.getElementById("user-list").textContent.includes("`+name+` viewer")`))
	found := &kubevisionv1alpha1.KubeVisionUser{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: name}, found); err != nil {
		t.Error(err)
	}
}

// stayed fails the test if the page has loaded anything from another origin.
func (t *tab) stayed() {
	t.Helper()
	var loaded []string
	t.do("see what was loaded", evaluate(
		`performance.getEntriesByType("resource").filter((e) => e.responseStatus > 0).map((e) => e.name)`, &loaded))
	if len(loaded) < 2 {
		t.Errorf("the page has loaded %v", loaded)
	}
	for _, address := range loaded {
		if !strings.HasPrefix(address, t.base+"/") && !strings.HasPrefix(address, "data:") {
			t.Errorf("the page has loaded %s", address)
		}
	}
}

func deploymentOf(namespace, name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/web:1"}},
			}},
		},
	}
}
