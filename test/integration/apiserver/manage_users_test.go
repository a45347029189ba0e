// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type shownUser struct {
	ID              string   `json:"id"`
	Name            string   `json:"name"`
	Username        string   `json:"username"`
	DisplayName     string   `json:"displayName"`
	Email           string   `json:"email"`
	Role            string   `json:"role"`
	Status          string   `json:"status"`
	IsActive        bool     `json:"isActive"`
	TOTPEnabled     *bool    `json:"totpEnabled"`
	TwoFactor       string   `json:"twoFactor"`
	Groups          []string `json:"groups"`
	CreatedAt       string   `json:"createdAt"`
	ResourceVersion string   `json:"resourceVersion"`
}

func TestCreateUser(t *testing.T) {
	set().HostCluster(t, host)
	c, a := direct(t), newActor(t, "admin")
	name := fixture.Name("made")
	user, secret, grant := madeFor(name)
	body := fields{
		"username": name, "password": anotherPassword, "email": "made@example.com", "displayName": "Made",
		"groups": []string{"web"}, "role": "editor",
		"mustChangePassword": false,
	}
	for what, w := range map[string]wrongBody{
		"no name":           {fields{"username": nil}, wire.Required, "username"},
		"a bad name":        {fields{"username": "No_Name"}, wire.Invalid, "username"},
		"a long name":       {fields{"username": strings.Repeat("x", 64)}, wire.Invalid, "username"},
		"a reserved name":   {fields{"username": "me"}, wire.Invalid, "username"},
		"no password":       {fields{"password": nil}, wire.Required, "password"},
		"a weak password":   {fields{"password": "password1234"}, wire.Invalid, "password"},
		"an unknown role":   {fields{"role": "god"}, wire.Invalid, "role"},
		"an unknown policy": {fields{"twoFactor": "Never"}, wire.Invalid, "twoFactor"},
		"an unknown field":  {fields{"uid": "x"}, wire.Invalid, "uid"},
		"a hash":            {fields{"passwordSecretRef": fields{"name": "x"}}, wire.Invalid, "passwordSecretRef"},
		"a bad mail":        {fields{"email": "nothing"}, wire.Rejected, ""},
	} {
		t.Run(what, func(t *testing.T) {
			w.check(t, c.Call(t, as(a.AccessToken, post(t, "/users", body.with(w.change)))))
			absent(t, user, secret, grant)
		})
	}
	set().Later(t, user)
	var shown shownUser
	c.Call(t, as(a.AccessToken, post(t, "/users", body))).Want(t, wire.OK).Into(t, &shown)
	if shown.ID != name || shown.Name != name || shown.Username != name || shown.Role != "editor" ||
		shown.Status != "active" || !shown.IsActive ||
		shown.TOTPEnabled == nil || shown.TwoFactor != "Optional" || shown.CreatedAt == "" ||
		shown.ResourceVersion == "" || fmt.Sprint(shown.Groups) != "[web]" {
		t.Errorf("the user is shown as %+v", shown)
	}
	present(t, secret)
	if !strings.HasPrefix(string(secret.Data["password"]), "$argon2id$") {
		t.Error("the password is stored in clear text")
	}
	present(t, grant)
	for _, err := range []error{labelled(secret, name), labelled(grant, name)} {
		if err != nil {
			t.Error(err)
		}
	}
	c.Call(t, as(a.AccessToken, post(t, "/users", body))).Want(t, wire.Conflict)
	login := fixture.User{Name: name, Password: anotherPassword}.Login(t, c, wire.DirectPath)
	becomes(t, c, wire.OK, as(login.AccessToken, read(pods("default"))))

	var all []shownUser
	e := c.Call(t, as(a.AccessToken, read("/users"))).Want(t, wire.OK)
	e.Into(t, &all)
	if e.Meta.Total == nil || int(*e.Meta.Total) != len(all) || !strings.Contains(string(e.Raw), `"name":"`+name+`"`) {
		t.Errorf("total %v of %d, with %s?", e.Meta.Total, len(all), name)
	}
	if strings.Contains(string(e.Raw), "argon2id") {
		t.Error("a hash is shown")
	}
	c.Call(t, as(a.AccessToken, remove("/users/"+name))).Want(t, wire.OK)
	absent(t, user, secret)
	set().Gone(t, grant)
	dead(t, login, c)
	c.Call(t, as(a.AccessToken, read("/users/"+name))).Want(t, wire.UserNotFound)
	c.Call(t, as(a.AccessToken, remove("/users/"+name))).Want(t, wire.UserNotFound)
	c.Call(t, as(a.AccessToken, put(t, "/users/"+name, fields{"email": "x@example.com"}))).Want(t, wire.UserNotFound)
}

// TestCreateUserLeavesNothingHalfDone verifies that a failed request to create a user leaves no objects. The request
// fails in two cases:
//   - The caller lacks one of the required rights.
//   - One of the objects exists already.
func TestCreateUserLeavesNothingHalfDone(t *testing.T) {
	const ours = "kubevision.io"
	users, secrets := rule(ours, "kubevisionusers", "*"), rule("", "secrets", "*")
	grants := rule(ours, "kubevisionrolebindings", "*")
	bind := rule("rbac.authorization.k8s.io", "clusterroles", "bind")
	bind.ResourceNames = []string{"kubevision:dev"}
	c := direct(t)
	for what, tc := range map[string]struct {
		role string
		want map[string]int
	}{
		"may not write Secrets": {role(t, users, grants),
			map[string]int{"viewer": wire.Forbidden, "custom": wire.Forbidden}},
		"may not write role bindings": {role(t, users, secrets),
			map[string]int{"viewer": wire.Forbidden, "custom": wire.OK}},
		"may grant dev only": {role(t, users, secrets, grants, bind), map[string]int{
			"viewer": wire.Forbidden, "super-admin": wire.Forbidden, "editor": wire.OK,
		}},
		"may only make them": {role(t, rule(ours, "kubevisionusers", "create", "get"), secrets, grants),
			map[string]int{"super-admin": wire.Forbidden}},
	} {
		t.Run(what, func(t *testing.T) {
			a := newActor(t, tc.role)
			for wanted, code := range tc.want {
				name := fixture.Name("half")
				user, secret, grant := madeFor(name)
				body := fields{"username": name, "password": anotherPassword, "role": wanted}
				e := c.Call(t, as(a.AccessToken, post(t, "/users", body))).Want(t, code)
				if code == wire.OK {
					set().Delete(t, user)
					continue
				}
				if strings.Contains(e.Message, "reverted") {
					t.Errorf("objects are left: %s", e.Message)
				}
				absent(t, user, secret, grant)
			}
		})
	}
	t.Run("a Secret of that name", func(t *testing.T) {
		a, name := newActor(t, "admin"), fixture.Name("half")
		user, secret, grant := madeFor(name)
		foreign := secret.DeepCopy()
		foreign.Data = map[string][]byte{"password": []byte("another's")}
		set().Create(t, foreign)
		c.Call(t, as(a.AccessToken, post(t, "/users",
			fields{"username": name, "password": anotherPassword, "role": "viewer"}))).Want(t, wire.Conflict)
		absent(t, user, grant)
		present(t, secret)
		if string(secret.Data["password"]) != "another's" {
			t.Error("another's Secret was changed")
		}
	})
}

func TestUpdateUser(t *testing.T) {
	set().HostCluster(t, host)
	c, a := direct(t), newActor(t, "admin")
	u := set().User(t, "changed", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.DisplayName = "Before" })
	path := "/users/" + u.Name
	_, _, grant := madeFor(u.Name)
	update := func(want int, body fields) shownUser {
		t.Helper()
		var shown shownUser
		if e := c.Call(t, as(a.AccessToken, put(t, path, body))).Want(t, want); e.Code == wire.OK {
			e.Into(t, &shown)
		}
		return shown
	}
	for what, w := range map[string]wrongBody{
		"an unknown role":  {fields{"role": "god"}, wire.Invalid, "role"},
		"an unknown field": {fields{"uid": "x"}, wire.Invalid, "uid"},
		"a password":       {fields{"password": anotherPassword}, wire.Invalid, "password"},
		"a status":         {fields{"totpEnabled": false}, wire.Invalid, "totpEnabled"},
		"words for a flag": {fields{"isActive": "yes"}, wire.Invalid, "isActive"},
		"a bad group":      {fields{"groups": []string{"No Group"}}, wire.Rejected, ""},
	} {
		t.Run(what, func(t *testing.T) { w.check(t, c.Call(t, as(a.AccessToken, put(t, path, w.change)))) })
	}
	before := update(wire.OK, fields{"email": "after@example.com"})
	if before.DisplayName != "Before" || before.Email != "after@example.com" || before.Role != "custom" {
		t.Errorf("after a change of the mail: %+v", before)
	}
	for _, role := range []string{"viewer", "super-admin", "editor"} {
		if got := update(wire.OK, fields{"role": role}); got.Role != role || got.DisplayName != "Before" {
			t.Errorf("after a change to %s: %+v", role, got)
		}
	}
	update(wire.OK, fields{"role": "custom"})
	set().Gone(t, grant)
	update(wire.OK, fields{"email": "later@example.com"})
	update(wire.Stale, fields{"displayName": "Late", "resourceVersion": before.ResourceVersion})
	fixtureLogin := u.Login(t, c, wire.DirectPath)
	if got := update(wire.OK, fields{"isActive": false, "displayName": ""}); got.IsActive || got.Status != "disabled" ||
		got.DisplayName != u.Name {
		t.Errorf("after disabling: %+v", got)
	}
	dead(t, fixtureLogin, c)
	if got := update(wire.OK, fields{"isActive": true}); !got.IsActive || got.Status != "active" {
		t.Errorf("after enabling: %+v", got)
	}
}

// TestForeignObjectsOfAUser verifies that the API neither changes nor deletes objects of other owners. The test creates
// a Secret and a KubeVisionRoleBinding with the names that the API uses for a user.
func TestForeignObjectsOfAUser(t *testing.T) {
	c, a := direct(t), newActor(t, "admin")
	u := set().User(t, "foreign") // the fixture has created the Secret with the name that the API uses
	_, secret, grant := madeFor(u.Name)
	grant.Labels = map[string]string{"kubevision.io/user": u.Name}
	grant.Spec = kubevisionv1alpha1.KubeVisionRoleBindingSpec{
		Subjects: fixture.KubeVisionUsers(u), RoleRef: kubevisionv1alpha1.RoleReference{Name: "readonly"},
		Clusters: kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}},
	}
	set().Create(t, grant)
	c.Call(t, as(a.AccessToken, put(t, "/users/"+u.Name,
		fields{"role": "super-admin", "email": "x@example.com"}))).Want(t, wire.Conflict)
	c.Call(t, as(a.AccessToken, put(t, "/users/"+u.Name, fields{"role": "custom"}))).Want(t, wire.Conflict)
	present(t, u.Object)
	if u.Object.Spec.Email != "" {
		t.Error("the change was made partially")
	}
	c.Call(t, as(a.AccessToken, remove("/users/"+u.Name))).Want(t, wire.OK)
	present(t, secret)
	present(t, grant)
	if grant.Spec.RoleRef.Name != "readonly" {
		t.Errorf("the role binding grants %s", grant.Spec.RoleRef.Name)
	}
}

// TestOtherBindingsDecide verifies that PUT /users/{name} rejects a new role of a user in two cases:
//   - All KubeVisionRoleBindings of the user were created without the users API. The API would have to create a
//     KubeVisionRoleBinding that grants the role on every cluster.
//   - A KubeVisionRoleBinding that was created without the users API grants a higher role. The user would keep the
//     higher role.
func TestOtherBindingsDecide(t *testing.T) {
	c, a := direct(t), newActor(t, "admin")
	team := fixture.Name("team")
	grouped := func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{team} }
	placed, member, made := set().User(t, "placed"), set().User(t, "member", grouped), set().User(t, "made")
	powerless := role(t, rule("", "configmaps", "get"))
	bound := func(role string, subjects []kubevisionv1alpha1.Subject) string {
		grant := fixture.Grant{Role: role, Subjects: subjects, Cluster: host, Namespaces: []string{"default"}}
		return set().Bind(t, "decides", grant).Name
	}
	inOne := bound("dev", fixture.KubeVisionUsers(placed))
	ofTeam := bound(powerless, subject(kubevisionv1alpha1.SubjectKubeVisionGroup, team))
	update := func(u fixture.User, want int, body fields) (wire.Envelope, shownUser) {
		t.Helper()
		var shown shownUser
		e := c.Call(t, as(a.AccessToken, put(t, "/users/"+u.Name, body))).Want(t, want)
		if e.Code == wire.OK {
			e.Into(t, &shown)
		}
		return e, shown
	}
	for name, tc := range map[string]struct {
		user    fixture.User
		binding string
		roles   []string
	}{
		"in one namespace":                {placed, inOne, []string{"viewer", "admin", "super-admin", "custom"}},
		"a role of one's own, by a group": {member, ofTeam, []string{"viewer", "editor"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, grant := madeFor(tc.user.Name)
			for _, role := range tc.roles {
				e, _ := update(tc.user, wire.Conflict, fields{"role": role, "email": "x@example.com"})
				if !strings.Contains(e.Message, tc.binding) {
					t.Errorf("%s: the message does not name the binding: %s", role, e.Message)
				}
			}
			absent(t, grant)
			present(t, tc.user.Object)
			if tc.user.Object.Spec.Email != "" {
				t.Error("the change was made partially")
			}
		})
	}
	t.Run("the displayed role", func(t *testing.T) {
		for u, role := range map[string]string{placed.Name: "editor", member.Name: "custom"} {
			_, _, grant := madeFor(u)
			_, shown := update(fixture.User{Name: u}, wire.OK, fields{"role": role, "isActive": true})
			if shown.Role != role {
				t.Errorf("%s is shown as %s", u, shown.Role)
			}
			absent(t, grant)
		}
	})
	t.Run("a binding that this API has made", func(t *testing.T) {
		_, _, grant := madeFor(made.Name)
		update(made, wire.OK, fields{"role": "viewer"})
		editor := bound("dev", fixture.KubeVisionUsers(made))
		e, _ := update(made, wire.Conflict, fields{"role": "custom"})
		if !strings.Contains(e.Message, editor) || strings.Contains(e.Message, grant.Name) {
			t.Errorf("the message is %s", e.Message)
		}
		present(t, grant)
		for _, role := range []string{"super-admin", "editor"} {
			if _, shown := update(made, wire.OK, fields{"role": role}); shown.Role != role {
				t.Errorf("after a change to %s: %+v", role, shown)
			}
		}
	})
	t.Run("who may not know of them", func(t *testing.T) {
		const ours = "kubevision.io"
		users, grants := rule(ours, "kubevisionusers", "*"), rule(ours, "kubevisionrolebindings", "create", "get")
		blind := newActor(t, role(t, users, grants))
		c.Call(t, as(blind.AccessToken, put(t, "/users/"+placed.Name, fields{"role": "viewer"}))).Want(t,
			wire.Forbidden)
		c.Call(t, as(blind.AccessToken, put(t, "/users/"+placed.Name, fields{"displayName": "Placed"}))).Want(t,
			wire.OK)
	})
}

// TestUsersWithoutTheirBindings verifies that the list of users contains no roles if the caller has no right to read
// KubeVisionRoleBindings.
func TestUsersWithoutTheirBindings(t *testing.T) {
	a := newActor(t, role(t, rule("kubevision.io", "kubevisionusers", "get", "list")))
	var all []shownUser
	direct(t).Call(t, as(a.AccessToken, read("/users"))).Want(t, wire.OK).Into(t, &all)
	for _, u := range all {
		if u.Role != "" {
			t.Errorf("%s is shown as %s", u.Name, u.Role)
		}
	}
	if len(all) == 0 {
		t.Error("no users")
	}
}

// TestTheLastAdministrator verifies that the API does not delete or disable the last active administrator. Without an
// administrator, only kubectl could restore the access.
func TestTheLastAdministrator(t *testing.T) {
	set().HostCluster(t, host)
	c, a := direct(t), newActor(t, "admin")
	var all []shownUser
	c.Call(t, as(a.AccessToken, read("/users"))).Want(t, wire.OK).Into(t, &all)
	var others []string
	for _, u := range all {
		if u.Role == "super-admin" && u.IsActive && u.Name != a.Name {
			others = append(others, "/users/"+u.Name)
		}
	}
	activate := func(active bool) {
		for _, path := range others {
			c.Call(t, as(a.AccessToken, put(t, path, fields{"isActive": active}))).Want(t, wire.OK)
		}
	}
	activate(false)
	defer activate(true)
	fixture.Eventually(t, "wait for the controller to count", func(ctx context.Context) error {
		kept := &kubevisionv1alpha1.KubeVisionPolicyParameter{}
		if err := env.Client.Get(ctx, client.ObjectKey{Name: "kubevision-last-admin"}, kept); err != nil {
			return fmt.Errorf("reading the last administrator: %w", err)
		}
		if kept.Spec.LastAdmin.User != a.Name {
			return fmt.Errorf("it keeps %q", kept.Spec.LastAdmin.User)
		}
		return nil
	})
	own := "/users/" + a.Name
	c.Call(t, as(a.AccessToken, put(t, own, fields{"isActive": false}))).Want(t, wire.Conflict)
	c.Call(t, as(a.AccessToken, remove(own))).Want(t, wire.Conflict)
	c.Call(t, as(a.AccessToken, put(t, own, fields{"displayName": "Still here"}))).Want(t, wire.OK)
}
