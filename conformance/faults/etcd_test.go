package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// httpRoutes is where etcd has the HTTPRoutes of a namespace.
func httpRoutes(namespace string) string {
	return "/registry/gateway.networking.k8s.io/httproutes/" + namespace + "/"
}

// etcd calls etcd through its gateway for JSON, which has keys and values in base 64,
// as encoding/json has bytes.
func (r *rig) etcd(method string, request, answer any) {
	r.Helper()
	body, err := json.Marshal(request)
	r.must(err)
	response, err := http.Post("http://127.0.0.1:2379/v3/kv/"+method, "application/json", bytes.NewReader(body))
	r.must(err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	r.must(err)
	if response.StatusCode != http.StatusOK {
		r.Fatalf("etcd: %s: %s", response.Status, content)
	}
	r.must(json.Unmarshal(content, answer))
}

// deleteFromEtcd deletes all keys with a prefix, and returns how many there were.
func (r *rig) deleteFromEtcd(prefix string) string {
	r.Helper()
	end := []byte(prefix)
	end[len(end)-1]++
	var answer struct{ Deleted string }
	r.etcd("deleterange", map[string][]byte{"key": []byte(prefix), "range_end": end}, &answer)
	return answer.Deleted
}

// changeInEtcd replaces something in an object, which has another generation then.
func (r *rig) changeInEtcd(key, before, after string) {
	r.Helper()
	var found struct{ Kvs []struct{ Value []byte } }
	r.etcd("range", map[string][]byte{"key": []byte(key)}, &found)
	if len(found.Kvs) != 1 || !strings.Contains(string(found.Kvs[0].Value), before) {
		r.Fatalf("%s has no %q: %v", key, before, found)
	}
	var object map[string]any
	r.must(json.Unmarshal(bytes.ReplaceAll(found.Kvs[0].Value, []byte(before), []byte(after)), &object))
	metadata := object["metadata"].(map[string]any)
	metadata["generation"] = metadata["generation"].(float64) + 1
	value, err := json.Marshal(object)
	r.must(err)
	r.etcd("put", map[string][]byte{"key": []byte(key), "value": value}, &struct{}{})
}

// compactEtcd makes etcd forget everything but the present.
func (r *rig) compactEtcd() {
	r.Helper()
	var now struct{ Header struct{ Revision string } }
	r.etcd("range", map[string][]byte{"key": []byte("/")}, &now)
	r.etcd("compaction", map[string]any{"revision": now.Header.Revision, "physical": true}, &struct{}{})
	if now.Header.Revision == "" {
		r.Fatal(fmt.Errorf("etcd does not say its revision"))
	}
}
