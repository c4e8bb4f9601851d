package replaytests

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// cluster is a real API server, whose objects rutter ingest records and rutter
// projector folds.
type cluster struct {
	*gwtest.Cluster

	client                dynamic.Interface
	flags                 []string // of both
	kubeconfig, recipient string
	ingest, projector     *process
}

// clusterStep runs the steps of a script with a real API server:
//
//	cluster                      start one, and rutter ingest and projector on it
//	ingest stop, ingest start    stop recording, and go on
//	api stop, api start          kill the API server, and start it again
//	backup, restore              take a copy of what etcd has, and put it back
//	apply FILE                   bring the objects of a section to what it says
//	delete RESOURCE.GROUP NAMESPACE/NAME
//	annotate RESOURCE.GROUP NAME KEY=VALUE
func (r *recorder) clusterStep(command string, args []string) bool {
	r.t.Helper()
	switch command + " " + strings.Join(args[:min(1, len(args))], "") {
	case "cluster ":
		r.startCluster()
	case "ingest stop":
		r.cluster.ingest.stop()
	case "ingest start":
		r.cluster.ingest = start(r.t, append([]string{"ingest", "--kubeconfig", r.cluster.kubeconfig, "--recipient-file", r.cluster.recipient}, r.cluster.flags...)...)
	case "api stop":
		r.cluster.Stop()
	case "api start":
		r.cluster.Start()
	case "backup ":
		r.cluster.Backup()
	case "restore ":
		r.cluster.Restore()
	default:
		switch command {
		case "apply":
			r.apply(r.section(args[0]))
		case "delete":
			r.delete(args[0], args[1])
		case "annotate":
			r.annotate(args[0], args[1], args[2])
		default:
			return false
		}
	}
	return true
}

func (r *recorder) startCluster() {
	r.t.Helper()
	started := gwtest.StartCluster(r.t)
	client, err := dynamic.NewForConfig(started.Config)
	must(r.t, err)
	identity, err := age.GenerateX25519Identity()
	must(r.t, err)
	recipient, kubeconfig := filepath.Join(r.t.TempDir(), "recipient"), filepath.Join(r.t.TempDir(), "kubeconfig")
	must(r.t, os.WriteFile(recipient, []byte(identity.Recipient().String()), 0o600))
	must(r.t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"c",
"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{"token":%q}}],
"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}]}`, started.Config.BearerToken, started.Config.Host), 0o600))
	url := gwtest.NATS(r.t)
	r.data = []string{"--nats-url", url}
	r.cluster = &cluster{Cluster: started, client: client, flags: []string{"--cluster", "prod", "--nats-url", url, "--http-address", "127.0.0.1:0"}, kubeconfig: kubeconfig, recipient: recipient}
	r.cluster.projector = start(r.t, append([]string{"projector"}, r.cluster.flags...)...)
	r.clusterStep("ingest", []string{"start"})
}

func (c *cluster) stop() {
	c.ingest.stop()
	c.projector.stop()
}

// of is the client for a resource, as kubectl names it.
func (r *recorder) of(resource, namespace string) dynamic.ResourceInterface {
	plural, group, _ := strings.Cut(resource, ".")
	return r.cluster.client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: plural}).Namespace(namespace)
}

func (r *recorder) apply(text []byte) {
	r.t.Helper()
	for _, o := range gwtest.Objects(r.t, string(text)) {
		object := &unstructured.Unstructured{Object: o}
		plural := strings.ToLower(object.GetKind()) + "s"
		if strings.HasSuffix(plural, "sss") {
			plural = strings.TrimSuffix(plural, "s") + "es"
		}
		group := object.GroupVersionKind().Group
		r.eventually("the API server takes "+object.GetName(), func() error {
			_, err := r.of(plural+"."+group, object.GetNamespace()).Apply(r.t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "recorder", Force: true})
			return err
		})
	}
}

func (r *recorder) delete(resource, name string) {
	r.t.Helper()
	namespace, short, _ := strings.Cut(name, "/")
	r.eventually("the API server deletes "+name, func() error {
		err := r.of(resource, namespace).Delete(r.t.Context(), short, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

func (r *recorder) annotate(resource, name, annotation string) {
	r.t.Helper()
	key, value, _ := strings.Cut(annotation, "=")
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	must(r.t, err)
	r.eventually("the API server annotates "+name, func() error {
		_, err := r.of(resource, "").Patch(r.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "recorder"})
		return err
	})
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
