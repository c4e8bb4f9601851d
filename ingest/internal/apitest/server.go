package apitest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// Server is an API server in memory.
type Server struct {
	t    testing.TB
	http *httptest.Server

	mu       sync.Mutex
	revision uint64
	// objects are those that exist, by resource and namespace/name; history is what
	// happened to them, oldest first, after the revision compacted.
	objects    map[string]map[string]object
	history    []event
	compacted  uint64
	changed    chan struct{}  // closed with each change, and each fault
	lives      map[string]int // how often there was an object of a name
	clusterUID string
	faults
}

type object = map[string]any

// event is a change of one object.
type event struct {
	revision       uint64
	kind, resource string // ADDED, MODIFIED or DELETED
	object         object
}

// New starts a server, with the definitions of the Gateway API installed. It ends
// with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		t: t, revision: 1000, objects: map[string]map[string]object{}, lives: map[string]int{},
		changed: make(chan struct{}), clusterUID: "cluster-1",
		faults: faults{forbidden: map[string]bool{}, disabled: map[string]bool{}, hidden: map[string]func(string) bool{}, asked: map[string]int{}},
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	t.Cleanup(func() {
		s.http.CloseClientConnections()
		s.http.Close()
	})
	for _, plural := range []string{"gatewayclasses", "gateways", "listenersets", "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes", "referencegrants", "backendtlspolicies"} {
		s.Install(plural, "v1.7.0")
	}
	s.install("rutterclasses", "rutter.dev", "v1alpha1", "{}")
	s.install("routingpins", "rutter.dev", "v1alpha1", "{}")
	return s
}

// Revision is the present resourceVersion.
func (s *Server) Revision() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Config is how to reach the server.
func (s *Server) Config() *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	return &rest.Config{Host: s.http.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
}

// Install installs the definition of a kind of the Gateway API, or brings it to
// another release.
func (s *Server) Install(plural, release string) {
	s.install(plural, "gateway.networking.k8s.io", "v1",
		fmt.Sprintf("{gateway.networking.k8s.io/bundle-version: %s, gateway.networking.k8s.io/channel: standard}", release))
}

func (s *Server) install(plural, group, version, annotations string) {
	s.Apply(fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[1]s.%[2]s
  annotations: %[4]s
spec:
  group: %[2]s
  scope: Namespaced
  names: {plural: %[1]s, kind: X}
  versions: [{name: %[3]s, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
status: {conditions: [{type: Established, status: "True"}]}
`, plural, group, version, annotations))
}

// DeleteAll deletes all objects of a resource.
func (s *Server) DeleteAll(resource string) {
	for _, name := range s.names(resource) {
		s.Delete(resource, name)
	}
}

// Uninstall removes a definition, with all objects of the kind.
func (s *Server) Uninstall(plural string) {
	s.DeleteAll(plural)
	s.Delete("customresourcedefinitions", plural+".gateway.networking.k8s.io")
}

func (s *Server) names(resource string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects[resource]))
}

// Apply creates or replaces the objects of a text of documents.
func (s *Server) Apply(text string) {
	s.t.Helper()
	for _, o := range gwtest.Objects(s.t, text) {
		s.put(o)
	}
}

func (s *Server) put(o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, _ := o["kind"].(string)
	resource, name := pluralOf(kind), nameOf(o)
	old := s.objects[resource][name]
	meta := metaOf(o)
	what := "MODIFIED"
	if old == nil {
		what = "ADDED"
		s.lives[resource+name]++
		meta["uid"], meta["generation"], meta["creationTimestamp"] = fmt.Sprintf("%s-%d", name, s.lives[resource+name]), int64(1), "2026-11-23T04:05:06Z"
	} else {
		for _, kept := range []string{"uid", "generation", "creationTimestamp"} {
			meta[kept] = metaOf(old)[kept]
		}
		if !reflect.DeepEqual(old["spec"], o["spec"]) {
			meta["generation"] = meta["generation"].(int64) + 1
		}
	}
	s.revision++
	meta["resourceVersion"] = strconv.FormatUint(s.revision, 10)
	if s.objects[resource] == nil {
		s.objects[resource] = map[string]object{}
	}
	s.objects[resource][name] = o
	s.happened(event{s.revision, what, resource, o})
}

// Delete deletes an object, by namespace/name or name.
func (s *Server) Delete(resource, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objects[resource][name]
	if old == nil {
		s.t.Errorf("apitest: there is no %s %s to delete", resource, name)
		return
	}
	delete(s.objects[resource], name)
	s.revision++
	gone := maps.Clone(old)
	meta := maps.Clone(metaOf(old))
	meta["resourceVersion"] = strconv.FormatUint(s.revision, 10)
	gone["metadata"] = meta
	s.happened(event{s.revision, "DELETED", resource, gone})
}

func (s *Server) happened(e event) {
	s.history = append(s.history, e)
	s.wake()
}

// wake wakes all watches. The mutex is held.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func metaOf(o object) object {
	meta, _ := o["metadata"].(map[string]any)
	if meta == nil {
		meta = object{}
		o["metadata"] = meta
	}
	return meta
}

func nameOf(o object) string {
	namespace, _ := metaOf(o)["namespace"].(string)
	name, _ := metaOf(o)["name"].(string)
	return strings.TrimPrefix(namespace+"/"+name, "/")
}

func pluralOf(kind string) string {
	lower := strings.ToLower(kind)
	if strings.HasSuffix(lower, "ss") {
		return lower + "es"
	}
	if stem, ok := strings.CutSuffix(lower, "policy"); ok {
		return stem + "policies"
	}
	return lower + "s"
}

// request is what a path asks for.
type request struct {
	group, version, resource, name string // name is namespace/name
	metadataOnly                   bool
}

func parse(r *http.Request) (request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var out request
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		out.version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		out.group, out.version, parts = parts[1], parts[2], parts[3:]
	default:
		return out, false
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		out.resource = parts[2]
		out.name = parts[1]
		if len(parts) == 4 {
			out.name += "/" + parts[3]
		}
	} else {
		out.resource = parts[0]
		if len(parts) == 2 {
			out.name = parts[1]
		}
	}
	out.metadataOnly = strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
	return out, true
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	req, ok := parse(r)
	if s.isDown() {
		panic(http.ErrAbortHandler) // the stream ends without an answer
	}
	s.count(req, r)
	switch {
	case !ok || !s.serves(req):
		http.NotFound(w, r)
	case s.isForbidden(req.resource):
		status(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("%s is forbidden: User \"ingest\" cannot list resource", req.resource), req)
	case req.name != "":
		s.get(w, req)
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r, req)
	default:
		s.list(w, r, req)
	}
}

// serves tells whether there is such a kind.
func (s *Server) serves(req request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.group != "gateway.networking.k8s.io" {
		return !s.disabled[req.resource]
	}
	return s.objects["customresourcedefinitions"][req.resource+"."+req.group] != nil
}

func (s *Server) get(w http.ResponseWriter, req request) {
	s.mu.Lock()
	o := s.objects[req.resource][req.name]
	if req.resource == "namespaces" && req.name == "kube-system" {
		o = object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "kube-system", "uid": s.clusterUID}}
	}
	s.mu.Unlock()
	if o == nil {
		status(w, http.StatusNotFound, "NotFound", fmt.Sprintf("%s %q not found", req.resource, req.name), req)
		return
	}
	answer(w, http.StatusOK, req.form(o))
}

// form is an object as the client asked for it.
func (r request) form(o object) object {
	if !r.metadataOnly {
		return o
	}
	return object{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": o["metadata"]}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, req request) {
	s.mu.Lock()
	items, revision := s.listed(req.resource), s.revision
	s.mu.Unlock()
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	meta := object{"resourceVersion": strconv.FormatUint(revision, 10)}
	items = items[min(from, len(items)):]
	if limit > 0 && len(items) > limit {
		items = items[:limit]
		meta["continue"] = strconv.Itoa(from + limit)
	}
	out := []any{}
	for _, o := range items {
		out = append(out, req.form(o))
	}
	kind, version := "List", "v1"
	if req.metadataOnly {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	answer(w, http.StatusOK, object{"apiVersion": version, "kind": kind, "metadata": meta, "items": out})
}

// listed are the objects that a list has. The mutex is held.
func (s *Server) listed(resource string) []object {
	var out []object
	for _, name := range slices.Sorted(maps.Keys(s.objects[resource])) {
		if hidden := s.hidden[resource]; hidden == nil || !hidden(name) {
			out = append(out, s.objects[resource][name])
		}
	}
	return out
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

func status(w http.ResponseWriter, code int, reason, message string, req request) {
	answer(w, code, statusObject(code, reason, message, req))
}

func statusObject(code int, reason, message string, req request) object {
	_, name, _ := strings.Cut(req.name, "/")
	if name == "" {
		name = req.name
	}
	return object{
		"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
		"details": object{"name": name, "kind": req.resource},
	}
}

// wait is how long a watch waits for something to happen at most.
const wait = time.Minute
