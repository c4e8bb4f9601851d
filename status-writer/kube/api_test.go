package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// memoryAPI is as much of a Kubernetes API server as statuses need: lists, watches,
// resourceVersions, conflicts, a status subresource. The tests of this package run
// against it, and alike against a real one where there is one.
type memoryAPI struct {
	mu      sync.Mutex
	version int
	objects map[string]map[string]any // by path
	history []change
	changed chan struct{} // closed, and made anew, at every change
	closed  chan struct{}
	// oldest is the version that a watch can still begin after.
	oldest int
	server *httptest.Server
	// fault, if any, answers a request instead: a status code, or 0 to go on.
	fault func(*http.Request) int
}

type change struct {
	version int
	path    string // of the resource
	kind    string // ADDED, MODIFIED, DELETED
	object  json.RawMessage
}

func newMemoryAPI(t *testing.T) (*memoryAPI, *rest.Config) {
	t.Helper()
	a := &memoryAPI{version: 1, objects: map[string]map[string]any{}, changed: make(chan struct{}), closed: make(chan struct{}), fault: func(*http.Request) int { return 0 }}
	a.server = httptest.NewServer(a)
	t.Cleanup(func() { close(a.closed); a.server.Close() })
	return a, &rest.Config{Host: a.server.URL, QPS: -1}
}

func (a *memoryAPI) setFault(fault func(*http.Request) int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// leave ends every connection, refuses new ones, and forgets its history.
func (a *memoryAPI) leave() {
	a.setFault(func(*http.Request) int { return http.StatusServiceUnavailable })
	a.server.CloseClientConnections()
}

// comeBack answers again; watches cannot go on where they were.
func (a *memoryAPI) comeBack() {
	a.mu.Lock()
	a.oldest = a.version
	a.mu.Unlock()
	a.setFault(func(*http.Request) int { return 0 })
}

const apiPrefix = "/apis/gateway.networking.k8s.io/v1/"

// ServeHTTP implements [http.Handler].
func (a *memoryAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	code := a.fault(r)
	a.mu.Unlock()
	if code != 0 {
		refuse(w, code, "a fault")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, apiPrefix)
	if !ok {
		path, ok = strings.CutPrefix(r.URL.Path, "/apis/rutter.dev/v1alpha1/")
	}
	if !ok {
		path = strings.TrimPrefix(r.URL.Path, "/apis/events.k8s.io/v1/")
	}
	path, status := strings.CutSuffix(path, "/status")
	collection := len(strings.Split(path, "/"))%2 == 1
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		a.watch(w, r, path)
	case r.Method == http.MethodGet && collection:
		a.list(w, path)
	case r.Method == http.MethodGet:
		a.answer(w, path, func(map[string]any) (map[string]any, string) { return nil, "" })
	case r.Method == http.MethodPost:
		a.create(w, r, path)
	case r.Method == http.MethodDelete:
		a.delete(w, path)
	default:
		a.update(w, r, path, status)
	}
}

func refuse(w http.ResponseWriter, code int, message string) {
	reason := map[int]metav1.StatusReason{
		http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusConflict: metav1.StatusReasonConflict,
		http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
		http.StatusUnprocessableEntity: metav1.StatusReasonInvalid, http.StatusGone: metav1.StatusReasonExpired,
	}[code]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message,
	})
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// collectionOf is the path of the list that an object is in, less its namespace.
func collectionOf(path string) string {
	parts := strings.Split(path, "/")
	return parts[len(parts)-2]
}

func metadataOf(o map[string]any) map[string]any {
	m, ok := o["metadata"].(map[string]any)
	if !ok {
		m = map[string]any{}
		o["metadata"] = m
	}
	return m
}

// store keeps an object as a new version; the caller holds mu.
func (a *memoryAPI) store(path, kind string, o map[string]any) {
	a.version++
	metadataOf(o)["resourceVersion"] = strconv.Itoa(a.version)
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	a.history = append(a.history, change{a.version, collectionOf(path), kind, data})
	if kind == "DELETED" {
		delete(a.objects, path)
	} else {
		a.objects[path] = o
	}
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *memoryAPI) create(w http.ResponseWriter, r *http.Request, path string) {
	var o map[string]any
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	path += "/" + fmt.Sprint(metadataOf(o)["name"])
	if a.objects[path] != nil {
		refuse(w, http.StatusConflict, "it exists")
		return
	}
	metadataOf(o)["uid"] = fmt.Sprintf("uid-%d", a.version+1)
	metadataOf(o)["generation"] = 1
	a.store(path, "ADDED", o)
	write(w, o)
}

func (a *memoryAPI) delete(w http.ResponseWriter, path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.objects[path]; o != nil {
		a.store(path, "DELETED", o)
	}
	write(w, metav1.Status{Status: "Success"})
}

// answer applies next to an object, under its version; a text is why not.
func (a *memoryAPI) answer(w http.ResponseWriter, path string, next func(map[string]any) (map[string]any, string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.objects[path]
	if now == nil {
		refuse(w, http.StatusNotFound, path)
		return
	}
	updated, conflict := next(now)
	switch {
	case conflict != "":
		refuse(w, http.StatusConflict, conflict)
		return
	case updated != nil && !sameBut(updated, now):
		a.store(path, "MODIFIED", updated)
		now = updated
	}
	write(w, now)
}

// sameBut compares what is not of the server.
func sameBut(a, b map[string]any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func (a *memoryAPI) update(w http.ResponseWriter, r *http.Request, path string, status bool) {
	body, err := io.ReadAll(r.Body)
	var sent map[string]any
	if err == nil {
		err = json.Unmarshal(body, &sent)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	a.answer(w, path, func(now map[string]any) (map[string]any, string) {
		if v, ok := metadataOf(sent)["resourceVersion"]; ok && v != metadataOf(now)["resourceVersion"] {
			return nil, "the object has been modified"
		}
		merged := sent
		if r.Method == http.MethodPatch {
			merged = mergePatch(now, sent)
		}
		next := maps.Clone(now)
		next["metadata"] = maps.Clone(metadataOf(now))
		if status {
			next["status"] = merged["status"]
			return next, ""
		}
		if fmt.Sprint(next["spec"]) != fmt.Sprint(merged["spec"]) {
			next["spec"] = merged["spec"]
			metadataOf(next)["generation"] = number(metadataOf(now)["generation"]) + 1
		}
		return next, ""
	})
}

func number(v any) int {
	n, _ := strconv.Atoi(fmt.Sprint(v))
	return n
}

// mergePatch is RFC 7386.
func mergePatch(now, patch map[string]any) map[string]any {
	out := maps.Clone(now)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range patch {
		if value == nil {
			delete(out, name)
			continue
		}
		if inner, ok := value.(map[string]any); ok {
			before, _ := out[name].(map[string]any)
			value = mergePatch(before, inner)
		}
		out[name] = value
	}
	return out
}

func (a *memoryAPI) list(w http.ResponseWriter, path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(a.objects)) {
		if collectionOf(key) == path {
			items = append(items, a.objects[key])
		}
	}
	write(w, map[string]any{
		"apiVersion": groupVersion(path).String(), "kind": listKind(path), "metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)}, "items": items,
	})
}

func listKind(resource string) string { return kinds()[resource] + "List" }

func (a *memoryAPI) watch(w http.ResponseWriter, r *http.Request, path string) {
	if r.URL.Query().Get("sendInitialEvents") != "" {
		refuse(w, http.StatusUnprocessableEntity, "this server lists") // as one without that feature
		return
	}
	after := number(r.URL.Query().Get("resourceVersion"))
	a.mu.Lock()
	expired := after < a.oldest
	a.mu.Unlock()
	if expired {
		refuse(w, http.StatusGone, "too old resource version")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	flusher, ok := w.(http.Flusher)
	if !ok {
		panic("cannot flush")
	}
	flusher.Flush()
	for {
		a.mu.Lock()
		all, changed := a.history, a.changed
		a.mu.Unlock()
		i, _ := slices.BinarySearchFunc(all, after+1, func(c change, v int) int { return c.version - v })
		for _, c := range all[i:] {
			after = c.version
			if c.path == path {
				_, _ = fmt.Fprintf(w, "{\"type\":%q,\"object\":%s}\n", c.kind, c.object)
			}
		}
		flusher.Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-a.closed:
			return
		}
	}
}
