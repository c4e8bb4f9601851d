package replaytests

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// recorder runs the section script of a record.txtar, one step a line:
//
//	save FILE                     put a section into the directory of manifests, as an editor does
//	remove FILE                   and take one away
//	backend NAMESPACE/NAME PORT   start a server on the port, with a Service (port 80) and its EndpointSlice
//	certificate NAME HOST…        make a certificate; with weak=1 or for=10s in front of the hosts
//	secret NAMESPACE/NAME CERT    save it as a Secret; a second name takes the key from another one
//	ca NAMESPACE/NAME CERT        save its certificate alone as a ConfigMap
//	pods NAMESPACE/NAME COUNT     replace the endpoints of a Service, as a rolling restart does
//	start, stop                   rutter standalone on the directory
//	until COMMAND => TEXT         wait until rutter COMMAND on the log prints a text; =/> until it does not
//	get URL => STATUS             wait until a request through Envoy is answered with a status
//	mark NAME                     the present version is called that in expect.txtar
//	later                         wait for the next second: of objects of the same second the name decides which is older
//
// Those of a script with a real API server are in cluster_test.go. But for
// later nothing sleeps: what comes next begins when what was waited for is so.
type recorder struct {
	t       *testing.T
	archive *txtar.Archive
	dir     string // of manifests
	data    []string
	dataDir string
	moments *marks
	certs   map[string]pair
	rutter  *process
	cluster *cluster
}

type pair struct{ cert, key []byte }

// marks are moments in the order in which they were marked.
type marks struct{ lines []string }

func (m *marks) String() string { return strings.Join(m.lines, "\n") + "\n" }

func newRecorder(t *testing.T, archive *txtar.Archive) *recorder {
	t.Helper()
	root, err := os.MkdirTemp("", "rutter-") //nolint:usetesting // sockets have short paths
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	r := &recorder{
		t: t, archive: archive, dir: filepath.Join(root, "m"), dataDir: filepath.Join(root, "d"), moments: &marks{}, certs: map[string]pair{},
	}
	r.data = []string{"--data-dir", r.dataDir}
	must(t, os.Mkdir(r.dir, 0o700))
	return r
}

func (r *recorder) run() {
	r.t.Helper()
	script := string(r.section("script"))
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			r.step(line)
		}
	}
	if r.rutter != nil {
		r.rutter.stop()
	}
}

// export writes the bundle of everything that was recorded.
func (r *recorder) export(path string) {
	r.t.Helper()
	if out, code := rutter(r.t.Context(), append([]string{"export", "-f", path}, r.data...)...); code != 0 {
		r.t.Fatalf("export: %s", out)
	}
	if r.cluster != nil {
		r.cluster.stop()
	}
}

func (r *recorder) section(name string) []byte {
	r.t.Helper()
	i := slices.IndexFunc(r.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		r.t.Fatalf("there is no section %s", name)
	}
	return r.archive.Files[i].Data
}

func (r *recorder) step(line string) {
	r.t.Helper()
	command, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	switch command {
	case "save":
		r.save(args[0], r.section(args[0]))
	case "remove":
		must(r.t, os.Remove(filepath.Join(r.dir, args[0])))
	case "backend":
		r.backend(args[0], args[1])
	case "pods":
		r.pods(args[0], args[1:])
	case "certificate":
		r.certs[args[0]] = newCertificate(r.t, args[1:])
	case "secret":
		r.secret(args[0], args[1:])
	case "ca":
		namespace, short, _ := strings.Cut(args[0], "/")
		r.save("ca-"+short+".yaml", authorityManifest(namespace, short, r.certs[args[1]]))
	case "start":
		r.rutter = start(r.t, "standalone", r.dir, "--data-dir", r.dataDir)
	case "stop":
		r.rutter.stop()
		r.rutter = nil
	case "until":
		r.until(rest)
	case "get":
		address, status, _ := strings.Cut(rest, " => ")
		r.eventually(line, func() error { return answers(r.t.Context(), address, status) })
	case "mark":
		r.mark(args[0])
	case "later":
		<-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	default:
		if !r.clusterStep(command, args) {
			r.t.Fatalf("%s is no step", line)
		}
	}
}

// save replaces a manifest as an editor does.
func (r *recorder) save(name string, text []byte) {
	r.t.Helper()
	temporary := filepath.Join(r.dir, "."+name+".new")
	must(r.t, os.WriteFile(temporary, text, 0o600))
	must(r.t, os.Rename(temporary, filepath.Join(r.dir, name)))
}

// backend answers every request, and is a Service with one endpoint.
func (r *recorder) backend(name, port string) {
	r.t.Helper()
	namespace, short, _ := strings.Cut(name, "/")
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	must(r.t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }), ReadHeaderTimeout: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	r.t.Cleanup(func() {
		_ = server.Close() // with the connections that Envoy keeps open
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			r.t.Errorf("backend %s: %v", name, err)
		}
	})
	r.save("backend-"+short+".yaml", fmt.Appendf(nil, `{apiVersion: v1, kind: Service, metadata: {name: %[2]s, namespace: %[1]s}, spec: {ports: [{name: http, port: 80}]}}
---
%[3]s`, namespace, short, slice(namespace, short, []string{port})))
}

// slice is an EndpointSlice: each port is that of a pod.
func slice(namespace, service string, ports []string) string {
	var out strings.Builder
	for i, port := range ports {
		fmt.Fprintf(&out, "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: %[2]s-%[3]d, namespace: %[1]s, labels: {kubernetes.io/service-name: %[2]s}},\n"+
			" addressType: IPv4, ports: [{name: http, port: %[4]s}], endpoints: [{addresses: [127.0.0.1]}]}\n", namespace, service, i, port)
	}
	return strings.TrimPrefix(out.String(), "---\n")
}

// pods replaces the endpoints of a Service by those of as many pods, five at a time.
func (r *recorder) pods(name string, args []string) {
	r.t.Helper()
	namespace, service, _ := strings.Cut(name, "/")
	var count int
	_, err := fmt.Sscan(args[0], &count)
	must(r.t, err)
	var address [4]byte
	for restarted := 0; restarted <= count; restarted += 5 {
		var out strings.Builder
		fmt.Fprintf(&out, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %[2]s-pods, namespace: %[1]s, labels: {kubernetes.io/service-name: %[2]s}}\naddressType: IPv4\nports: [{name: http, port: 9001}]\nendpoints:\n", namespace, service)
		for i := range count {
			address = [4]byte{127, 0, 1, byte(i + 1)}
			if i < restarted {
				address[2] = 2
			}
			fmt.Fprintf(&out, "- {addresses: [%d.%d.%d.%d], conditions: {ready: %v}}\n", address[0], address[1], address[2], address[3], i >= restarted || i < restarted-5)
		}
		r.save("pods.yaml", []byte(out.String()))
		r.eventually("the endpoints are recorded", func() error { return r.hasEndpoint(fmt.Sprintf("127.0.2.%d", restarted), restarted == 0) })
	}
}

func (r *recorder) secret(name string, certs []string) {
	r.t.Helper()
	namespace, short, _ := strings.Cut(name, "/")
	key := certs[len(certs)-1]
	if r.certs[certs[0]].cert == nil || r.certs[key].cert == nil {
		r.t.Fatalf("secret %s: no certificate was made of that name: %v", name, certs)
	}
	r.save("secret-"+short+".yaml", secretManifest(namespace, short, pair{r.certs[certs[0]].cert, r.certs[key].key}))
}

// until waits for what a command prints.
func (r *recorder) until(rest string) {
	r.t.Helper()
	command, text, wanted := strings.Cut(rest, " => ")
	if !wanted {
		command, text, _ = strings.Cut(rest, " =/> ")
	}
	r.eventually("until "+rest, func() error {
		out, code := rutter(r.t.Context(), append(strings.Fields(command), r.data...)...)
		if (wanted || code < 2) && strings.Contains(out, text) == wanted {
			return nil
		}
		return fmt.Errorf("exit code %d:\n%s", code, out)
	})
}

// mark names the newest version.
func (r *recorder) mark(name string) {
	r.t.Helper()
	out, _ := rutter(r.t.Context(), append([]string{"show", "-o", "json"}, r.data...)...)
	var shown struct {
		Version string `json:"version"`
	}
	must(r.t, json.Unmarshal([]byte(out), &shown))
	_, sequence, _ := strings.Cut(shown.Version, "/")
	r.moments.lines = append(r.moments.lines, name+" "+sequence)
}

// eventually tries until check succeeds, for at most two minutes.
func (r *recorder) eventually(what string, check func() error) {
	r.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			said := ""
			if r.rutter != nil {
				said = r.rutter.said()
			}
			r.t.Fatalf("%s: %v\nrutter said:\n%s", what, err, said)
		}
		<-ticker.C
	}
}

// answers asks Envoy on this machine.
func answers(ctx context.Context, address, status string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	transport := &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}, //nolint:gosec // who answers does not matter
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		},
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if got := fmt.Sprint(response.StatusCode); got != status {
		return errors.New("it gets " + got)
	}
	return nil
}

// process is a rutter that runs.
type process struct {
	t       *testing.T
	command *exec.Cmd
	output  *os.File
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	must(t, err)
	p := &process{t: t, output: output, command: exec.Command(binary, args...)}
	p.command.Env = append(os.Environ(), "PATH="+filepath.Dir(gwtest.Envoy(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	p.command.Stdout, p.command.Stderr = output, output
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	must(t, p.command.Start())
	t.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	if p.command.ProcessState != nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	if err := p.command.Wait(); err != nil {
		p.t.Errorf("rutter ended with %v:\n%s", err, p.said())
	}
}

func (p *process) said() string {
	text, _ := os.ReadFile(p.output.Name())
	return string(text)
}
