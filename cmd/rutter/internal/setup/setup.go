package setup

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/process"
)

// Names and keys of what is made.
const (
	IdentitySecret  = "rutter-identity"
	IdentityKey     = "identity"
	RecipientMap    = "rutter-recipient"
	RecipientKey    = "recipient"
	AuthoritySecret = "rutter-ca"
	NATSSecret      = "rutter-nats"
	NATSKey         = "token"
)

// Config of one run.
type Config struct {
	Client    rest.Interface // of core/v1
	Namespace string
	Now       time.Time
	Logger    *slog.Logger
}

// Run makes what is not there yet.
func Run(ctx context.Context, c Config) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("generate identity: %w", err)
	}
	secret, err := c.secret(ctx, IdentitySecret, corev1.SecretTypeOpaque, map[string][]byte{IdentityKey: []byte(identity.String() + "\n")})
	if err != nil {
		return err
	}
	// It may have been there, or another process was faster.
	if identity, err = age.ParseX25519Identity(strings.TrimSpace(string(secret.Data[IdentityKey]))); err != nil {
		return fmt.Errorf("parse identity in Secret %s: %w: restore the Secret", IdentitySecret, err)
	}
	if err := c.recipient(ctx, identity.Recipient().String()); err != nil {
		return err
	}
	// It begins with a letter: the configuration of NATS would read a number otherwise.
	if _, err := c.secret(ctx, NATSSecret, corev1.SecretTypeOpaque, map[string][]byte{NATSKey: []byte("t" + rand.Text())}); err != nil {
		return err
	}
	ca, err := pki.NewAuthority(c.Now)
	if err != nil {
		return err
	}
	secret, err = c.secret(ctx, AuthoritySecret, corev1.SecretTypeTLS, map[string][]byte{corev1.TLSCertKey: ca.Certificate, corev1.TLSPrivateKeyKey: ca.Key})
	if err != nil {
		return err
	}
	if _, err := pki.Parse(pki.Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}); err != nil {
		return fmt.Errorf("the CA in Secret %s: %w: restore the Secret, or delete it, and all certificates are issued anew", AuthoritySecret, err)
	}
	return nil
}

// NewClient is a client of core/v1, and of nothing else: with what client-go has for
// all kinds of Kubernetes, each process is 12 MiB larger.
func NewClient(api *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("make a client of the Kubernetes API: %w", err)
	}
	config := rest.CopyConfig(api)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the Kubernetes API: %w", err)
	}
	return client, nil
}

// secret makes a Secret unless it is there, and returns the one that is.
func (c *Config) secret(ctx context.Context, name string, kind corev1.SecretType, data map[string][]byte) (*corev1.Secret, error) {
	made := &corev1.Secret{}
	err := c.post("secrets", &corev1.Secret{ObjectMeta: c.meta(name), Type: kind, Data: data}).Do(ctx).Into(made)
	if err == nil {
		c.Logger.Info("made", process.About(events.Key{Resource: events.Secrets, Namespace: c.Namespace, Name: name}, 0, 0))
		return made, nil
	}
	if apierrors.IsAlreadyExists(err) {
		err = c.Client.Get().Namespace(c.Namespace).Resource("secrets").Name(name).Do(ctx).Into(made)
	}
	if err != nil {
		return nil, fmt.Errorf("make Secret %s: %w", name, err)
	}
	return made, nil
}

// recipient says for whom keys are sealed.
func (c *Config) recipient(ctx context.Context, recipient string) error {
	want := &corev1.ConfigMap{ObjectMeta: c.meta(RecipientMap), Data: map[string]string{RecipientKey: recipient}}
	err := c.post("configmaps", want).Do(ctx).Error()
	if apierrors.IsAlreadyExists(err) {
		there := &corev1.ConfigMap{}
		err = c.Client.Get().Namespace(c.Namespace).Resource("configmaps").Name(RecipientMap).Do(ctx).Into(there)
		if err == nil && there.Data[RecipientKey] != recipient {
			there.Data = want.Data
			err = c.Client.Put().Namespace(c.Namespace).Resource("configmaps").Name(RecipientMap).Body(there).Do(ctx).Error()
		}
	}
	if err != nil {
		return fmt.Errorf("make ConfigMap %s: %w", RecipientMap, err)
	}
	return nil
}

func (c *Config) post(resource string, o runtime.Object) *rest.Request {
	return c.Client.Post().Namespace(c.Namespace).Resource(resource).Body(o)
}

func (c *Config) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: c.Namespace, Labels: map[string]string{"app.kubernetes.io/name": "rutter", "app.kubernetes.io/managed-by": "rutter-init"}}
}
