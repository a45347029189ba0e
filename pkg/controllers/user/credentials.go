// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// outcome contains the status, the reason and the message of the condition for the credentials. The message contains no
// data of a Secret.
type outcome struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

// reconcileCredentials imports the password from the Secret of spec.passwordSecretRef, and sets the conditions. It
// imports the password only if the Secret contains a new password, so that later reconciliations do not overwrite a
// password that the user has set after the import.
func (r *Reconciler) reconcileCredentials(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) error {
	result, err := r.readPassword(ctx, u)
	if err != nil {
		return err
	}
	generation := u.Generation
	conditions := &u.Status.Conditions
	condition.Set(conditions, generation, kubevisionv1alpha1.UserCredentialsCondition, result.status, result.reason,
		result.message)
	switch {
	case u.Spec.Disabled:
		condition.Set(conditions, generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue,
			kubevisionv1alpha1.ReasonUserDisabled,
			"the user is disabled and cannot log in")
	case result.status != metav1.ConditionTrue:
		condition.Set(conditions, generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, result.reason,
			result.message)
	default:
		condition.Set(conditions, generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue,
			kubevisionv1alpha1.ReasonReady,
			"the user can log in")
	}
	u.Status.ObservedGeneration = generation
	return nil
}

func (r *Reconciler) readPassword(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (outcome, error) {
	stored, err := r.readCredentials(ctx, u)
	switch {
	case errors.Is(err, errForeign):
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonNameConflict, err.Error()}, nil
	case err != nil:
		return outcome{}, err
	}
	if err := noteSecondFactor(u, stored); err != nil {
		//nolint:nilerr // the condition contains the error
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSecretInvalid, err.Error()}, nil
	}
	ref := u.Spec.PasswordSecretRef
	if ref == nil {
		if stored != nil && len(stored.Data[credentials.PasswordHashKey]) > 0 {
			return outcome{metav1.ConditionTrue, kubevisionv1alpha1.ReasonPasswordSet, "the user has a password"}, nil
		}
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonNoPassword,
			"the user has no password; name a Secret in spec.passwordSecretRef"}, nil
	}
	if names.IsOwnSecret(ref.Name) {
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSecretInvalid, "Secret " + ref.Name +
			" is reserved for KubeVision; create another one for the password"}, nil
	}
	source := &corev1.Secret{}
	err = r.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: ref.Name}, source)
	if apierrors.IsNotFound(err) {
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("there is no Secret %s in namespace %s", ref.Name, names.Namespace)}, nil
	}
	if err != nil {
		return outcome{}, fmt.Errorf("reading secret %s: %w", ref.Name, err)
	}
	if credentials.BelongsToOther(source, u.Name) {
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSecretInvalid,
			"Secret " + ref.Name + " contains the password of another user; create another one for this user"}, nil
	}
	version := fmt.Sprintf("%s/%s/%s", source.UID, source.ResourceVersion, passwordKey(ref))
	if stored == nil || stored.Annotations[credentials.PasswordSourceAnnotation] != version {
		return r.importPassword(ctx, u, stored, source, version)
	}
	if !isReadable(stored) { // The Secret may contain an older password than the one that the user has set since.
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSecretInvalid,
			"the stored hash is invalid or too expensive: write another password to Secret " + ref.Name}, nil
	}
	return outcome{metav1.ConditionTrue, kubevisionv1alpha1.ReasonPasswordSet, "the password comes from Secret " +
		ref.Name + ", or the user has changed it since"}, nil
}

// isReadable returns false if the stored password hash is malformed, or if the cost of the hash exceeds the limit. An
// earlier version of KubeVision may have stored a hash with a higher cost.
func isReadable(stored *corev1.Secret) bool {
	_, _, err := credentials.PasswordHash(stored)
	return err == nil
}

// noteSecondFactor copies the state of the second factor from the stored credentials to the status of the user.
func noteSecondFactor(u *kubevisionv1alpha1.KubeVisionUser, stored *corev1.Secret) error {
	u.Status.TwoFactorEnabled, u.Status.RecoveryCodesRemaining = false, nil
	if stored == nil {
		return nil
	}
	factor, err := credentials.ReadSecondFactor(stored)
	if err != nil {
		return err
	}
	if factor.Enabled() {
		u.Status.TwoFactorEnabled = true
		u.Status.RecoveryCodesRemaining = new(int32(min(len(factor.RecoveryCodes), math.MaxInt32)))
	}
	return nil
}

func (r *Reconciler) importPassword(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, stored, source *corev1.Secret, version string,
) (outcome, error) {
	key := passwordKey(u.Spec.PasswordSecretRef)
	value := trimLineEnd(string(source.Data[key]))
	result := outcome{metav1.ConditionTrue, kubevisionv1alpha1.ReasonPasswordSet, "the password comes from Secret " +
		source.Name}
	same, err := r.isImported(ctx, stored, value)
	if err != nil {
		return outcome{}, err
	}
	if same { // The user may have changed the password since the last import.
		return result, r.update(ctx, stored, version, nil)
	}
	hash, problem, err := r.hash(ctx, value)
	if err != nil {
		return outcome{}, err
	}
	if problem != "" {
		return outcome{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSecretInvalid,
			fmt.Sprintf("key %s of Secret %s %s", key, source.Name, problem)}, nil
	}
	if stored == nil {
		err = r.create(ctx, u, version, hash)
	} else {
		err = r.update(ctx, stored, version, &hash)
	}
	if err != nil {
		return outcome{}, err
	}
	ctrl.LoggerFrom(ctx).Info("Password updated from a Secret", "secret", source.Name)
	r.warnOfWeakness(u, value)
	return result, nil
}

// warnOfWeakness emits an event if a clear-text password is easy to guess. The password is imported nevertheless,
// because the author of the Secret is responsible for it.
func (r *Reconciler) warnOfWeakness(u *kubevisionv1alpha1.KubeVisionUser, value string) {
	if password.IsHash(value) {
		return
	}
	if err := password.CheckStrength(value, u.Name, u.Spec.DisplayName, u.Spec.Email); err != nil {
		r.Recorder.Eventf(u, nil, corev1.EventTypeWarning, "WeakPassword", "Reconcile", "%s", err.Error())
	}
}

// isImported returns true if value is the password that was imported last.
func (r *Reconciler) isImported(ctx context.Context, stored *corev1.Secret, value string) (bool, error) {
	if stored == nil || len(stored.Data[credentials.PasswordSourceHashKey]) == 0 || !isReadable(stored) {
		return false, nil
	}
	last := string(stored.Data[credentials.PasswordSourceHashKey])
	if password.IsHash(value) {
		return value == last, nil
	}
	hash, err := password.Parse(last)
	if err != nil {
		return false, nil //nolint:nilerr // an unreadable value is replaced
	}
	err = r.Hasher.Verify(ctx, value, hash)
	if errors.Is(err, password.ErrMismatch) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("comparing the password with the previous one: %w", err)
	}
	return true, nil
}

func (r *Reconciler) hash(ctx context.Context, value string) (hash password.Hash, problem string, err error) {
	switch {
	case value == "":
		return password.Hash{}, "is missing or empty", nil
	case len(value) > password.MaxLength:
		return password.Hash{}, fmt.Sprintf("is longer than %d bytes", password.MaxLength), nil
	case password.IsHash(value):
		parsed, err := password.Parse(value)
		if err != nil {
			return password.Hash{}, "is not a valid hash: " + err.Error(), nil //nolint:nilerr // a condition
		}
		return parsed, "", nil
	default:
		made, err := r.Hasher.Hash(ctx, value)
		if err != nil {
			return password.Hash{}, "", fmt.Errorf("hashing the password: %w", err)
		}
		return made, "", nil
	}
}

var errForeign = errors.New("already exists and does not belong to this user")

var errOrphaned = fmt.Errorf("%w: if it was restored from a backup of the same user, set the annotation %s on the "+
	"user; otherwise delete it", errForeign, names.AdoptCredentialsAnnotation)

// readCredentials returns the Secret with the credentials of the user, or nil if there is none. It returns errForeign
// if the Secret does not belong to the user.
func (r *Reconciler) readCredentials(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser,
) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name)},
		secret)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // the user has no credentials yet
	}
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	// If a user was deleted and another user with the same name was created, the Secret of the deleted user may still
	// exist until it is garbage collected. It may contain the credentials of another person.
	if !metav1.IsControlledBy(secret, u) || secret.Type != credentials.SecretType {
		why := errForeign
		if isOrphanedCredentials(secret, u) {
			why = errOrphaned
		}
		return nil, fmt.Errorf("secret %s/%s %w", secret.Namespace, secret.Name, why)
	}
	return secret, nil
}

func (r *Reconciler) create(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, version string, hash password.Hash,
) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name),
			Labels:          map[string]string{names.ManagedByLabel: names.ManagedBy, names.UserLabel: u.Name},
			Annotations:     map[string]string{credentials.PasswordSourceAnnotation: version},
			OwnerReferences: controlledBy(u),
		},
		Type: credentials.SecretType,
	}
	if err := setPassword(secret, hash); err != nil {
		return err
	}
	if err := r.Client.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating the credentials: %w", err)
	}
	return nil
}

// update changes the stored credentials. It records version, which is the version of the password Secret that was
// imported, and replaces the password hash if hash is not nil. It returns a Conflict error if the credentials have
// changed since they were read.
func (r *Reconciler) update(ctx context.Context, stored *corev1.Secret, version string, hash *password.Hash) error {
	updated := stored.DeepCopy()
	if updated.Annotations == nil {
		updated.Annotations = map[string]string{}
	}
	updated.Annotations[credentials.PasswordSourceAnnotation] = version
	if hash != nil {
		if err := setPassword(updated, *hash); err != nil {
			return err
		}
	}
	if err := r.Client.Update(ctx, updated); err != nil {
		return fmt.Errorf("updating the credentials: %w", err)
	}
	return nil
}

// trimLineEnd removes the line break at the end, which editors and echo append. No password that a user can enter ends
// with a line break.
func trimLineEnd(value string) string {
	return strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
}

func passwordKey(ref *kubevisionv1alpha1.SecretKeyReference) string {
	return cmp.Or(ref.Key, names.PasswordKey)
}

// setPassword replaces the password hash in the Secret. When the caller writes the Secret to the API server, existing
// sessions and pending logins become invalid.
func setPassword(secret *corev1.Secret, hash password.Hash) error {
	if err := credentials.ReplacePassword(secret, hash, false); err != nil {
		return fmt.Errorf("replacing the password: %w", err)
	}
	credentials.BeginEpoch(secret, "") // a session with another epoch is not valid
	secret.Data[credentials.PasswordSourceHashKey] = []byte(hash.String())
	return nil
}
