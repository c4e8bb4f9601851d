package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/pki"
)

const webhookPath = "/observe/secret"

// office is a real API server that tells one ingest who asks for changes, while another
// one, which serves no webhook, records them.
type office struct {
	t         testing.TB
	api       *rest.Config
	nats      string
	port      int
	authority *pki.Authority
	tlsDir    string
	flags     []string
	recorder  *service
}

func newOffice(t testing.TB) *office {
	t.Helper()
	api := gwtest.Kubernetes(t)
	o := &office{t: t, api: api, nats: gwtest.NATS(t), port: gwtest.FreePort(t), tlsDir: t.TempDir()}
	ca, err := pki.NewAuthority(time.Now())
	must(t, err)
	o.authority, err = pki.Parse(ca)
	must(t, err)
	o.certify()
	o.flags = []string{"ingest", "--cluster", "c", "--nats-url", o.nats, "--kubeconfig", kubeconfig(t, api), "--recipient-file", recipientFile(t)}
	o.recorder = startService(t, append(o.flags, "--name", "recorder")...)
	o.recorder.eventually("/readyz", 200, "ok")
	for _, user := range []string{"alice", "bob"} {
		o.as("").create(schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"}, "", fmt.Sprintf(
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: %s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{kind: User, name: %s}]}`, user, user))
	}
	return o
}

// in is the office in a part of a test, with two people in it.
func (o *office) in(t testing.TB) (part *office, alice, bob *person) {
	t.Helper()
	out := *o
	out.t = t
	return &out, out.as("alice"), out.as("bob")
}

// certify issues a certificate for the webhook.
func (o *office) certify() {
	o.t.Helper()
	pair, err := o.authority.Issue(pki.Request{Server: true, Hosts: []string{"127.0.0.1"}, Life: time.Hour}, time.Now())
	must(o.t, err)
	must(o.t, os.WriteFile(filepath.Join(o.tlsDir, "tls.key"), pair.Key, 0o600))
	must(o.t, os.WriteFile(filepath.Join(o.tlsDir, "path"), []byte(webhookPath), 0o600))
	must(o.t, os.WriteFile(filepath.Join(o.tlsDir, "tls.crt"), pair.Certificate, 0o600))
}

// serial is that of the certificate which the webhook serves.
func (o *office) serial() string {
	o.t.Helper()
	connection, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.port), &tls.Config{InsecureSkipVerify: true})
	must(o.t, err)
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// watch starts an ingest that serves the webhook.
func (o *office) watch() *service {
	o.t.Helper()
	s := startService(o.t, append(o.flags, "--name", "watcher", "--actors-listen", fmt.Sprintf("127.0.0.1:%d", o.port), "--actors-tls-dir", o.tlsDir)...)
	s.eventually("/readyz", 200, "ok")
	return s
}

// install installs the webhook as the chart does, but for the way to it and the timeout.
func (o *office) install(set ...string) {
	o.t.Helper()
	helm, err := filepath.Abs("../../bin/helm")
	must(o.t, err)
	args := append([]string{"template", "rutter", "../../deploy/helm/rutter", "--show-only", "templates/actors.yaml"}, set...)
	rendered, err := exec.CommandContext(o.t.Context(), helm, args...).Output()
	if err != nil {
		o.t.Fatalf("render the chart with bin/helm, which `make bin/helm` builds: %v", err)
	}
	for _, object := range gwtest.Objects(o.t, string(rendered)) {
		if object["kind"] != "ValidatingWebhookConfiguration" {
			continue
		}
		webhook := object["webhooks"].([]any)[0].(map[string]any)
		webhook["timeoutSeconds"] = int64(30) // a busy machine must not let a request pass unseen
		webhook["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://127.0.0.1:%d%s", o.port, webhookPath), "caBundle": base64.StdEncoding.EncodeToString(o.authority.PEM)}
		webhook["timeoutSeconds"] = int64(30) // this machine may have other work, and everybody is to be seen
		_, err := o.as("").client.Resource(schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}).
			Create(o.t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
		must(o.t, err)
	}
}

// awaitWebhook waits until the API server calls the webhook.
func (o *office) awaitWebhook(watcher *service) {
	o.t.Helper()
	try := 0
	gwtest.Eventually(o.t, "a request is seen", func() error {
		try++
		p := o.as("prober")
		p.dryRun = true
		p.create(services, "default", fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: probe-%d}, spec: {ports: [{port: 80}]}}`, try))
		if !strings.Contains(watcher.metrics(), `rutter_ingest_actors_recorded_total{resource="services"}`) {
			return errors.New("the API server does not call the webhook")
		}
		return nil
	})
}

// person makes requests as somebody.
type person struct {
	t      testing.TB
	client dynamic.Interface
	dryRun bool
}

var (
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	secrets     = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	httproutes  = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	gateways    = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// as is somebody; "" is who has all rights.
func (o *office) as(user string) *person {
	o.t.Helper()
	config := rest.CopyConfig(o.api)
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"team-" + user}}
	}
	if user == "prober" {
		config.Impersonate.Groups = []string{"system:masters"}
	}
	client, err := dynamic.NewForConfig(config)
	must(o.t, err)
	return &person{t: o.t, client: client}
}

func (p *person) options() []string {
	if p.dryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func (p *person) create(resource schema.GroupVersionResource, namespace, text string) *unstructured.Unstructured {
	p.t.Helper()
	object := &unstructured.Unstructured{Object: gwtest.Objects(p.t, text)[0]}
	var made *unstructured.Unstructured
	gwtest.Eventually(p.t, "the request", func() (err error) {
		made, err = p.client.Resource(resource).Namespace(namespace).Create(p.t.Context(), object, metav1.CreateOptions{DryRun: p.options(), FieldManager: "tester"})
		if apierrors.IsInternalError(err) { // just after its start the API server has no addresses for Services yet
			return err
		}
		must(p.t, err)
		return nil
	})
	return made
}

func (p *person) merge(resource schema.GroupVersionResource, namespace, name, patch string, subresources ...string) {
	p.t.Helper()
	_, err := p.client.Resource(resource).Namespace(namespace).Patch(p.t.Context(), name, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{DryRun: p.options(), FieldManager: "tester"}, subresources...)
	must(p.t, err)
}

func (p *person) delete(resource schema.GroupVersionResource, namespace, name string) {
	p.t.Helper()
	must(p.t, p.client.Resource(resource).Namespace(namespace).Delete(p.t.Context(), name, metav1.DeleteOptions{DryRun: p.options()}))
}

// log is what `rutter log -o json` says of an object.
func (o *office) log(object string) []history.Entry {
	o.t.Helper()
	var out, failed bytes.Buffer
	args := []string{"log", "--nats-url", o.nats, "-o", "json"}
	if object != "" {
		args = append(args, object)
	}
	if code := run(o.t.Context(), environment{out: &out, err: &failed, now: time.Now, open: openLog}, args); code != exitFine {
		o.t.Fatalf("rutter log: exit code %d: %s", code, failed.String())
	}
	var entries []history.Entry
	must(o.t, json.Unmarshal(out.Bytes(), &entries))
	return entries
}

// story is what the log tells of an object.
type story struct {
	o      *office
	object string
	so     []string
}

func (o *office) story(object string) *story { return &story{o: o, object: object} }

// goes waits until the log tells how the story goes on. Who does not wait for each
// change may find several recorded as one.
func (s *story) goes(on string) {
	s.o.t.Helper()
	s.so = append(s.so, on)
	want := strings.Join(s.so, "\n")
	gwtest.Eventually(s.o.t, "what the log tells", func() error {
		var got []string
		for _, e := range s.o.log(s.object) {
			got = append(got, e.Change+": "+e.Who())
		}
		if got := strings.Join(got, "\n"); got != want {
			return fmt.Errorf("of %s the log tells\n%s\nwant\n%s", s.object, got, want)
		}
		return nil
	})
}
