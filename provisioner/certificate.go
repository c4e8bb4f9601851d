package provisioner

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// authorityKey is where the certificate of the CA is in a Secret.
const authorityKey = "ca.crt"

// keepCertificate sees that a Secret holds what it has already, and the certificate that
// is asked for, and renews it in time. again is when that will be.
func (s *Service) keepCertificate(ctx context.Context, secret *corev1.Secret, owner types.UID, want pki.Request) (again time.Duration, err error) {
	authority, err := s.Authority()
	if err != nil {
		return 0, err
	}
	now := s.Now()
	there, err := s.Client.Resource(secrets).Namespace(secret.Namespace).Get(ctx, secret.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return 0, err
	case owner != "" && !owns(owner, there):
		return 0, errForeign
	case !holds(there, secret.Data):
	default:
		pair := pki.Pair{Certificate: dataOf(there, corev1.TLSCertKey), Key: dataOf(there, corev1.TLSPrivateKeyKey)}
		if until, keep := authority.Keep(pair, want, now); keep && bytes.Equal(dataOf(there, authorityKey), authority.PEM) {
			return until.Sub(now), nil
		}
	}
	want.Life = s.CertificateLife
	pair, err := authority.Issue(want, now)
	if err != nil {
		return 0, err
	}
	data := map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key, authorityKey: authority.PEM}
	maps.Copy(data, secret.Data)
	secret.Data = data
	if err := s.apply(ctx, secrets, secret, ""); err != nil {
		return 0, err
	}
	until, _ := authority.Keep(pair, want, now)
	s.metrics.certificates.Inc()
	s.Logger.Info("certificate issued", process.About(events.Key{Resource: events.Secrets, Namespace: secret.Namespace, Name: secret.Name}, 0, 0))
	return until.Sub(now), nil
}

func holds(secret *unstructured.Unstructured, data map[string][]byte) bool {
	for key, value := range data {
		if !bytes.Equal(dataOf(secret, key), value) {
			return false
		}
	}
	return true
}

func dataOf(secret *unstructured.Unstructured, key string) []byte {
	text, _, _ := unstructured.NestedString(secret.Object, "data", key)
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return data
}

// keepServerCertificate sees until ctx ends that a server of this installation has a
// certificate, by doing keep when that says, and every so often.
func (s *Service) keepServerCertificate(ctx context.Context, name string, every time.Duration, keep func(context.Context, *corev1.Secret) (time.Duration, error)) {
	process.Retry(ctx, func(ctx context.Context) error {
		for {
			again, err := keep(ctx, &corev1.Secret{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Type: corev1.SecretTypeTLS,
				ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: map[string]string{infra.ManagedByLabel: infra.ManagedBy}},
			})
			if err != nil {
				return fmt.Errorf("certificate of a server: %w", err)
			}
			timer := time.NewTimer(min(again, every))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil
			}
		}
	}, func(err error, retryCount int) {
		about := process.About(events.Key{Resource: events.Secrets, Namespace: s.Namespace, Name: name}, 0, retryCount)
		s.Logger.Error("certificate is not renewed; trying again", about, slog.Any("error", err))
	})
}

// keepXDS sees that the xDS servers have a certificate.
func (s *Service) keepXDS(ctx context.Context, secret *corev1.Secret) (again time.Duration, err error) {
	host, _, _ := net.SplitHostPort(s.Infra.XDSAddress) // as New has checked
	return s.keepCertificate(ctx, secret, "", pki.Request{Server: true, Hosts: []string{host}})
}
