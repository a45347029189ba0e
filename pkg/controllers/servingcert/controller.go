// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servingcert maintains the serving certificate of kubevision-apiserver and the caBundle of its APIService.
package servingcert

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const caKey = "ca.crt"

func secretKey() types.NamespacedName {
	return types.NamespacedName{Namespace: names.Namespace, Name: names.ServingCertSecret}
}

func apiServiceKey() types.NamespacedName { return types.NamespacedName{Name: names.APIService} }

var apiServiceGVK = schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}

// Reconciler reconciles the Secret with the serving certificate, and the caBundle of the APIService.
type Reconciler struct {
	Client client.Client
	// Live reads from the API server. An outdated cache could cause the creation of a second certificate.
	Live  client.Reader
	Clock clock.PassiveClock
	// ExtraHosts contains additional DNS names and IP addresses for the certificate.
	ExtraHosts []string
}

// SetupWithManager adds watches of the Secret and of the APIService.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Live == nil || r.Clock == nil {
		return errors.New("all fields of the serving certificate controller must be set")
	}
	apiService := &metav1.PartialObjectMetadata{}
	apiService.SetGroupVersionKind(apiServiceGVK)
	return ctrl.NewControllerManagedBy(mgr).
		Named("servingcert").
		For(&corev1.Secret{}, builder.WithPredicates(predicates.Named(secretKey()))).
		WatchesMetadata(apiService,
			handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: secretKey()}}
			}), builder.WithPredicates(predicates.Named(apiServiceKey()))).
		WatchesRawSource(predicates.OnStart(secretKey())).
		Complete(r)
}

func (r *Reconciler) hosts() []string {
	service := names.APIServerService + "." + names.Namespace + ".svc"
	return append([]string{service, names.APIServerService, names.APIServerService + "." + names.Namespace, service +
		".cluster.local"}, r.ExtraHosts...)
}

// Reconcile issues a new certificate if the current one is invalid, must be renewed, or is marked as compromised. The
// previous CA remains in the caBundle, because replicas serve the previous certificate until they have read the new
// one. A compromised CA is removed from the caBundle at once.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, secretKey(), secret)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading the serving certificate: %w", err)
	}
	absent := apierrors.IsNotFound(err)
	apiService, err := r.apiService(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	left, problem := remainingUse(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey],
		secret.Data[caKey], r.hosts(), r.Clock.Now())
	if isCompromised(apiService) {
		problem = errors.New("the APIService is annotated with a compromised certificate")
	}
	if problem == nil {
		setExpiration(secret.Data[corev1.TLSCertKey])
		return ctrl.Result{RequeueAfter: left}, r.writeCABundle(ctx, apiService, secret.Data[caKey])
	}
	ctrl.LoggerFrom(ctx).Info("Issuing a serving certificate", "reason", problem.Error())
	made, err := issue(r.hosts(), r.Clock.Now())
	if err != nil {
		return ctrl.Result{}, err
	}
	bundle := mergeBundles(made.ca, r.previous(secret, apiService), r.Clock.Now())
	// The CA bundle must be written first, because the certificate may be served as soon as it is written.
	if err := r.writeCABundle(ctx, apiService, bundle); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.store(ctx, secret, absent, made, bundle); err != nil {
		return ctrl.Result{}, err
	}
	setExpiration(made.cert)
	if isCompromised(apiService) {
		err = r.unmark(ctx, apiService)
	}
	return ctrl.Result{RequeueAfter: lifetime - renewBefore - time.Minute}, err
}

// previous returns the CAs that remain in the caBundle when a new certificate is issued. It returns nil if the old
// certificate is compromised.
func (r *Reconciler) previous(secret *corev1.Secret, apiService *unstructured.Unstructured) []byte {
	switch ca := secret.Data[caKey]; {
	case isCompromised(apiService): // Clients must no longer trust the certificate.
		return nil
	case len(mergeBundles(nil, ca, r.Clock.Now())) == 0: // The Secret was deleted or changed by another client.
		return caBundleOf(apiService)
	default:
		return ca
	}
}

// isCompromised returns true if the annotation names.CompromisedServingCertAnnotation is set.
func isCompromised(apiService *unstructured.Unstructured) bool {
	if apiService == nil {
		return false
	}
	_, marked := apiService.GetAnnotations()[names.CompromisedServingCertAnnotation]
	return marked
}

// unmark removes the annotation names.CompromisedServingCertAnnotation.
func (r *Reconciler) unmark(ctx context.Context, apiService *unstructured.Unstructured) error {
	marked := &unstructured.Unstructured{}
	marked.SetGroupVersionKind(apiServiceGVK)
	marked.SetName(apiService.GetName())
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, names.CompromisedServingCertAnnotation)
	err := r.Client.Patch(ctx, marked, client.RawPatch(types.MergePatchType, []byte(patch)))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the annotation %s: %w", names.CompromisedServingCertAnnotation, err)
	}
	return nil
}

// apiService returns the APIService, or nil if there is none.
func (r *Reconciler) apiService(ctx context.Context) (*unstructured.Unstructured, error) {
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(apiServiceGVK)
	err := r.Live.Get(ctx, apiServiceKey(), existing)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // its creation is watched
	}
	if err != nil {
		return nil, fmt.Errorf("reading the APIService: %w", err)
	}
	return existing, nil
}

// caBundleOf returns the current spec.caBundle of the APIService, or nil.
func caBundleOf(apiService *unstructured.Unstructured) []byte {
	if apiService == nil {
		return nil
	}
	encoded, _, _ := unstructured.NestedString(apiService.Object, "spec", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	return bundle
}

func (r *Reconciler) store(ctx context.Context, secret *corev1.Secret, absent bool, made bundle, bundle []byte) error {
	secret.Namespace, secret.Name = names.Namespace, names.ServingCertSecret
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	secret.Labels[names.ManagedByLabel] = names.ManagedBy
	secret.Data = map[string][]byte{corev1.TLSCertKey: made.cert, corev1.TLSPrivateKeyKey: made.key, caKey: bundle}
	write := func() error { return r.Client.Update(ctx, secret) }
	if absent {
		secret.Type = corev1.SecretTypeTLS
		write = func() error { return r.Client.Create(ctx, secret) }
	}
	if err := write(); err != nil {
		return fmt.Errorf("writing the serving certificate: %w", err)
	}
	return nil
}

// writeCABundle writes the caBundle to the given APIService. If the APIService is nil, because it does not exist yet,
// writeCABundle does nothing. The creation of the APIService is watched, and causes another reconciliation.
func (r *Reconciler) writeCABundle(ctx context.Context, existing *unstructured.Unstructured, ca []byte) error {
	if existing == nil {
		return nil
	}
	encoded := base64.StdEncoding.EncodeToString(ca)
	current, _, _ := unstructured.NestedString(existing.Object, "spec", "caBundle")
	insecure, _, _ := unstructured.NestedBool(existing.Object, "spec", "insecureSkipTLSVerify")
	if current == encoded && !insecure {
		return nil
	}
	desired := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"caBundle": encoded,
		"insecureSkipTLSVerify": false}}}
	desired.SetGroupVersionKind(apiServiceGVK)
	desired.SetName(names.APIService)
	err := r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired), client.ForceOwnership,
		client.FieldOwner(names.FieldManager))
	if err != nil {
		return fmt.Errorf("applying the caBundle of the APIService: %w", err)
	}
	return nil
}
