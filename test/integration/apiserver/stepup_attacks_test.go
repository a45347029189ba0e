// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	merge      = "application/merge-patch+json"
	serverSide = "application/apply-patch+yaml"
	jsonPatch  = "application/json-patch+json"

	general           = onHost + "/resources/"
	inSystemNamespace = onHost + "/namespaces/" + system + "/"
)

func somebody(t *testing.T) *kubevisionv1alpha1.KubeVisionUser {
	t.Helper()
	return existing(t, &kubevisionv1alpha1.KubeVisionUser{
		TypeMeta:   metav1.TypeMeta{APIVersion: "kubevision.io/v1alpha1", Kind: "KubeVisionUser"},
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("attacked")},
	})
}

// bound returns a role binding that grants nothing.
func bound(name string) *kubevisionv1alpha1.KubeVisionRoleBinding {
	return &kubevisionv1alpha1.KubeVisionRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "kubevision.io/v1alpha1", Kind: "KubeVisionRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			RoleRef:    kubevisionv1alpha1.RoleReference{Name: "readonly"},
			Subjects:   []kubevisionv1alpha1.Subject{{Kind: "KubeVisionUser", Name: name}},
			Clusters:   kubevisionv1alpha1.ClusterTargets{Names: []string{host}},
			Namespaces: &kubevisionv1alpha1.NamespaceTargets{Names: []string{"default"}},
		},
	}
}

func newSession(t *testing.T, u fixture.User) *kubevisionv1alpha1.KubeVisionSession {
	t.Helper()
	login := u.Login(t, direct(t), wire.DirectPath)
	return &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t,
		login.AccessToken).Session()}}
}

func managementAttacks(t *testing.T) []attack {
	t.Helper()
	victim := set().User(t, "victim")
	first, second := newSession(t, victim), newSession(t, victim)
	password := &corev1.Secret{ObjectMeta: inSystem(victim.Object.Spec.PasswordSecretRef.Name)}
	user := func() client.Object { return victim.Object.DeepCopy() }
	made, _, _ := madeFor(fixture.Name("new"))
	deleted, binding, grant := somebody(t), existing(t, bound(fixture.Name("attacked"))), later(t,
		bound(fixture.Name("new")))
	cluster := later(t, &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("new")}})
	other := set().RemoteCluster(t, "attacked")
	registered := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: other}}
	requests := management(t, "", victim.Name)
	spec := bindingBody("", "nobody").with(fields{"name": nil})
	return []attack{
		{"createUser", post(t, "/users", fields{"username": made.Name, "password": anotherPassword, "role": "viewer"}),
			later(t, made), wire.OK},
		{"updateUser", put(t, "/users/"+victim.Name, fields{"groups": []string{"x"}}), user(), wire.OK},
		{"deleteUser", remove("/users/" + deleted.Name), deleted, wire.OK},
		{"endSession", remove("/sessions/" + first.Name), first, wire.OK},
		{"revokeSessions", requests["revoke-sessions"], second, wire.OK},
		{"resetTwoFactor", requests["reset-2fa"], user(), wire.OK},
		{"resetPassword", requests["reset-password"], password, wire.OK},
		{"createRoleBinding", post(t, "/role-bindings", bindingBody(grant.Name, "nobody")), grant, wire.OK},
		{"updateRoleBinding", put(t, "/role-bindings/"+binding.Name, spec), binding, wire.OK},
		{"deleteRoleBinding", remove("/role-bindings/" + binding.Name), binding, wire.OK},
		{"createCluster", post(t, "/clusters", fields{"name": cluster.Name, "authType": "in-cluster"}), cluster,
			wire.OK},
		{"updateCluster", put(t, "/clusters/"+other, fields{"labels": fields{"environment": "prod"}}), registered,
			wire.OK},
		{"deleteCluster", remove("/clusters/" + other), registered, wire.OK},
	}
}

func creationAttacks(t *testing.T) []attack {
	t.Helper()
	create := func(kind string, o client.Object) attack {
		later(t, o)
		if o.GetNamespace() == "" {
			return attack{"createClusterObject", post(t, general+kind, o), o, wire.OK}
		}
		return attack{"createNamespaceObject", post(t, onHost+"/namespaces/"+o.GetNamespace()+"/resources/"+kind, o), o,
			wire.OK}
	}
	labels := map[string]string{"environment": "prod"}
	role := &rbacv1.RoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fixture.Name("attack"),
		}, RoleRef: viewers("").RoleRef, Subjects: viewers("x").Subjects,
	}
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: fixture.Name("attack")},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}
	settings := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: inSystem(fixture.Name("attack"))}
	namespace := &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("attack"), Labels: labels},
	}
	attacks := []attack{
		create("kubevisionrolebindings", bound(fixture.Name("attack"))),
		create("kubevisionrolebindings.v1alpha1.kubevision.io", bound(fixture.Name("attack"))),
		create("clusterrolebindings.rbac.authorization.k8s.io", viewers(fixture.Name("attack"))),
		create("clusterrolebindings.v1.rbac.authorization.k8s.io", viewers(fixture.Name("attack"))),
		create("namespaces", namespace),
		create("rolebindings", role),
		create("secrets", secretOf(corev1.SecretTypeServiceAccountToken, "default", fixture.Name("attack"))),
		create("pods", pod),
		create("configmaps", settings),
	}
	byQuery := settings.DeepCopy()
	byQuery.Name = fixture.Name("attack")
	applied := settings.DeepCopy()
	applied.Name = fixture.Name("attack")
	return append(attacks,
		attack{"createClusterObject", post(t, general+"configmaps?namespace="+system, byQuery), later(t, byQuery),
			wire.OK},
		attack{"applyObjects", post(t, onHost+"/apply", applied), later(t, applied), wire.OK},
	)
}

func changeAttacks(t *testing.T) []attack {
	t.Helper()
	user, password := somebody(t), existing(t, secretOf(corev1.SecretTypeOpaque, system, fixture.Name("password")))
	// The user has no password, because the controllers write the status of users with a password repeatedly.
	settled := existing(t, &kubevisionv1alpha1.KubeVisionUser{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("replaced")},
	})
	fixture.Eventually(t, "wait for the status of the user", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(settled), settled); err != nil {
			return fmt.Errorf("reading the user: %w", err)
		}
		if settled.Status.ObservedGeneration != settled.Generation {
			return errors.New("there is none")
		}
		return nil
	})
	replaced := settled.DeepCopy()
	replaced.TypeMeta = metav1.TypeMeta{APIVersion: "kubevision.io/v1alpha1", Kind: "KubeVisionUser"}
	replaced.Spec.Groups = []string{"system-admins"}
	applied, binding := later(t, bound(fixture.Name("attack"))), later(t, viewers(fixture.Name("attack")))
	secret := "resources/secrets/" + password.Name
	one := general + "kubevisionusers/" + user.Name
	groups := fields{"spec": fields{"groups": []string{"x"}}}
	replacement := password.DeepCopy()
	replacement.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
	replacement.Data = map[string][]byte{"password": []byte("another")}
	return []attack{
		{"replaceClusterObject", put(t, general+"kubevisionusers/"+settled.Name, replaced), settled, wire.OK},
		{"patchClusterObject", patch(t, merge, one, groups), user, wire.OK},
		{"patchClusterObject", patch(t, merge, general+"kubevisionusers.v1alpha1.kubevision.io/"+user.Name,
			fields{"spec": fields{"disabled": true}}), user, wire.OK},
		{"patchClusterObject", patch(t, jsonPatch, one,
			[]fields{{"op": "add", "path": "/spec/email", "value": "x@example.com"}}), user, wire.OK},
		{"patchClusterObject", patch(t, serverSide, general+"kubevisionrolebindings/"+applied.Name, applied), applied,
			wire.OK},
		{"patchClusterObject", patch(t, serverSide, general+"clusterrolebindings/"+binding.Name+"?force=true", binding),
			binding, wire.OK},
		{"replaceNamespaceObject", put(t, inSystemNamespace+secret, replacement), password, wire.OK},
		{"patchNamespaceObject", patch(t, merge, inSystemNamespace+secret,
			fields{"stringData": fields{"password": "a third"}}), password, wire.OK},
		{"patchClusterObject", patch(t, merge, general+"kubevisionusers.kubevision.io/"+user.Name,
			fields{"metadata": fields{
				"annotations": fields{"kubevision.io/reset-two-factor": "now"},
			}}), user, wire.OK},
	}
}

func deletionAttacks(t *testing.T) []attack {
	t.Helper()
	victim := set().User(t, "victim")
	first, second := newSession(t, victim), newSession(t, victim)
	secret := existing(t, secretOf(corev1.SecretTypeOpaque, system, fixture.Name("attacked")))
	harmless := existing(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default",
		Name: fixture.Name("beside")}})
	batch := []fields{
		{"resource": "configmaps", "namespace": "default", "name": harmless.Name},
		{"resource": "kubevisionsessions", "name": second.Name},
	}
	return []attack{
		{"deleteClusterObject", remove(general + "kubevisionsessions/" + first.Name), first, wire.OK},
		{"deleteNamespaceObject", remove(inSystemNamespace + "resources/secrets/" + secret.Name), secret, wire.OK},
		{"batchDelete", post(t, onHost+"/resources/batch-delete", batch), harmless, wire.OK}, // nothing is deleted
		{"batchDelete", post(t, onHost+"/resources/batch-delete", append(batch[:0:0], batch[1])), second, wire.OK},
	}
}

func actionAttacks(t *testing.T) []attack {
	t.Helper()
	labels := map[string]string{"app": fixture.Name("attacked")}
	d := existing(t, &appsv1.Deployment{
		ObjectMeta: inSystem(labels["app"]),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "a"}}},
			},
		},
	})
	awaitRevisions(t, d, 1)
	d.Spec.Template.Spec.Containers[0].Image = "b"
	fixture.Eventually(t, "change the Deployment", func(ctx context.Context) error {
		return env.Client.Patch(ctx, d, client.RawPatch("application/json-patch+json",
			[]byte(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"b"}]`)))
	})
	awaitRevisions(t, d, 2)
	forms := map[string]string{
		"NamespaceKind":   inSystemNamespace + "deployments/" + d.Name + "/%s",
		"NamespaceObject": inSystemNamespace + "resources/deployments/" + d.Name + "/%s",
		"ClusterObject":   general + "deployments/" + d.Name + "/%s?namespace=" + system,
	}
	restarts := []fields{{"kind": "deployments", "namespace": system, "name": d.Name}}
	pod := existing(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: fixture.Name("attacked")},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "a"}}},
	})
	debug := onHost + "/namespaces/" + pod.Namespace + "/pods/" + pod.Name + "/debug"
	out := []attack{
		{"batchRestart", post(t, onHost+"/batch-restart", restarts), d, wire.OK},
		{"debugPod", post(t, debug, fields{}), pod, wire.OK},
	}
	for form, path := range forms {
		at := func(action string) string { return fmt.Sprintf(path, action) }
		out = append(out,
			attack{"scale" + form, put(t, at("scale"), fields{"replicas": 0}), d, wire.OK},
			attack{"restart" + form, wire.Request{Method: "POST", Path: wire.DirectPath + at("restart")}, d, wire.OK},
			attack{"rollback" + form, post(t, at("rollback"), fields{"revision": 0}), d, wire.OK},
		)
	}
	return out
}

func awaitRevisions(t *testing.T, d *appsv1.Deployment, revisions int) {
	t.Helper()
	fixture.Eventually(t, fmt.Sprintf("see %d revisions", revisions), func(ctx context.Context) error {
		var all appsv1.ReplicaSetList
		if err := env.Client.List(ctx, &all, client.InNamespace(d.Namespace), client.MatchingLabels(d.Labels),
			client.MatchingLabels(d.Spec.Template.Labels)); err != nil {
			return err
		}
		if len(all.Items) < revisions {
			return fmt.Errorf("there are %d", len(all.Items))
		}
		return env.Client.Get(ctx, client.ObjectKeyFromObject(d), d)
	})
}
