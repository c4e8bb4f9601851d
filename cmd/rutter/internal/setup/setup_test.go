package setup_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/setup"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/pki"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	api := gwtest.Kubernetes(t)
	client, err := kubernetes.NewForConfig(api)
	must(t, err)
	var rights gwtest.Rights
	own, err := setup.NewClient(rights.Of(api))
	must(t, err)
	secrets, maps := client.CoreV1().Secrets("default"), client.CoreV1().ConfigMaps("default")
	run := func() error {
		return setup.Run(t.Context(), setup.Config{Client: own, Namespace: "default", Now: time.Now(), Logger: slog.New(slog.DiscardHandler)})
	}
	var several sync.WaitGroup
	for range 5 {
		several.Go(func() {
			if err := run(); err != nil {
				t.Error(err)
			}
		})
	}
	several.Wait()

	secret, err := secrets.Get(t.Context(), setup.IdentitySecret, metav1.GetOptions{})
	must(t, err)
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(secret.Data[setup.IdentityKey])))
	must(t, err)
	recipient := func() string {
		t.Helper()
		m, err := maps.Get(t.Context(), setup.RecipientMap, metav1.GetOptions{})
		must(t, err)
		return m.Data[setup.RecipientKey]
	}
	if got := recipient(); got != identity.Recipient().String() {
		t.Errorf("the recipient %s is not that of the identity", got)
	}
	ca, err := secrets.Get(t.Context(), setup.AuthoritySecret, metav1.GetOptions{})
	must(t, err)
	_, err = pki.Parse(pki.Pair{Certificate: ca.Data[corev1.TLSCertKey], Key: ca.Data[corev1.TLSPrivateKeyKey]})
	must(t, err)

	// One that was killed half-way, or spoilt by hand, is completed.
	must(t, maps.Delete(t.Context(), setup.RecipientMap, metav1.DeleteOptions{}))
	must(t, run())
	m, err := maps.Get(t.Context(), setup.RecipientMap, metav1.GetOptions{})
	must(t, err)
	m.Data[setup.RecipientKey] = "age1another"
	_, err = maps.Update(t.Context(), m, metav1.UpdateOptions{})
	must(t, err)
	must(t, run())
	again, err := secrets.Get(t.Context(), setup.IdentitySecret, metav1.GetOptions{})
	must(t, err)
	if got := recipient(); got != identity.Recipient().String() || !bytes.Equal(again.Data[setup.IdentityKey], secret.Data[setup.IdentityKey]) {
		t.Errorf("after another run the recipient is %s, or the identity is a new one", got)
	}

	// A key that cannot be read is not replaced.
	again.Data[setup.IdentityKey] = []byte("spoilt")
	_, err = secrets.Update(t.Context(), again, metav1.UpdateOptions{})
	must(t, err)
	if err := run(); err == nil || !strings.Contains(err.Error(), "restore the Secret") {
		t.Errorf("with a spoilt identity: %v", err)
	}
	rights.AreThoseOf(t, "init")
}
