package gwtest

import (
	"cmp"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// Rights are what a service asked of an API server, in the words of RBAC.
type Rights struct {
	mu    sync.Mutex
	asked map[right]bool
}

// right is to do something with a resource (gateways/status for a part of one). name is
// that of the object where there is one.
type right struct{ verb, group, resource, name string }

// Of is api for a service whose requests are noted.
func (r *Rights) Of(api *rest.Config) *rest.Config {
	api = rest.CopyConfig(api)
	api.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return noting(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if err == nil {
				r.note(request, response.StatusCode)
			}
			return response, err
		})
	})
	return api
}

type noting func(*http.Request) (*http.Response, error)

func (f noting) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func (r *Rights) note(request *http.Request, status int) {
	asked, ok := rightTo(request)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[right]bool{}
	}
	r.asked[asked] = true
	switch {
	case asked.verb == "patch" && status == http.StatusCreated: // an apply
		asked.verb, asked.name = "create", ""
		r.asked[asked] = true
	case request.URL.Query().Get("sendInitialEvents") != "": // a list, and asked for as such where lists are not streamed
		asked.verb = "list"
		r.asked[asked] = true
	}
}

// rightTo is what a request needs; false for one that is not about objects.
func rightTo(request *http.Request) (right, bool) {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	var out right
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		out.group, parts = parts[1], parts[3:]
	default:
		return out, false
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	out.resource = parts[0]
	if len(parts) > 1 {
		out.name = parts[1]
	}
	if len(parts) > 2 {
		out.resource += "/" + parts[2]
	}
	out.verb = map[string]string{
		http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodGet: "get",
	}[request.Method]
	switch {
	case out.verb != "get" || out.name != "":
	case request.URL.Query().Get("watch") != "":
		out.verb = "watch"
	default:
		out.verb = "list"
	}
	return out, true
}

// AreThoseOf fails the test where the rules that the chart gives a role (of the values
// that it has by default) lack something that was asked for, or have something that was not.
func (r *Rights) AreThoseOf(t testing.TB, role string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	rules := rulesOf(t, role)
	for asked := range r.asked {
		if !slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return gives(rule, asked) }) {
			t.Errorf("%s lacks the right to %s %s of %q (%s)", role, asked.verb, asked.resource, asked.group, asked.name)
		}
	}
	for _, given := range each(rules) {
		used := func(asked right) bool {
			return asked.verb == given.verb && asked.group == given.group && asked.resource == given.resource && (given.name == "" || asked.name == given.name)
		}
		if !anyOf(r.asked, used) {
			t.Errorf("%s has the right to %s %s of %q (%s), and makes no use of it", role, given.verb, given.resource, given.group, cmp.Or(given.name, "any"))
		}
	}
}

func gives(rule rbacv1.PolicyRule, asked right) bool {
	return slices.Contains(rule.APIGroups, asked.group) && slices.Contains(rule.Resources, asked.resource) && slices.Contains(rule.Verbs, asked.verb) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, asked.name))
}

// each right that rules give.
func each(rules []rbacv1.PolicyRule) (out []right) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						out = append(out, right{verb, group, resource, name})
					}
				}
			}
		}
	}
	return out
}

func anyOf(set map[right]bool, is func(right) bool) bool {
	for r := range set {
		if is(r) {
			return true
		}
	}
	return false
}

// rulesOf are those of the Role and the ClusterRole whose name ends in -role.
func rulesOf(t testing.TB, role string) (rules []rbacv1.PolicyRule) {
	t.Helper()
	rendered, err := os.ReadFile(filepath.Join(moduleRoot(), "deploy", "helm", "testdata", "default.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(rendered), "\n---\n") {
		var one rbacv1.ClusterRole // a Role has the same fields
		if err := yaml.Unmarshal([]byte(document), &one); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(one.Kind, "Role") && strings.HasSuffix(one.Name, "rutter-"+role) {
			rules = append(rules, one.Rules...)
		}
	}
	if len(rules) == 0 {
		t.Fatalf("the chart has no rules for %s", role)
	}
	return rules
}

// moduleRoot is the folder of go.mod, from that of a test.
func moduleRoot() string {
	for up := "."; ; up = filepath.Join(up, "..") {
		if _, err := os.Stat(filepath.Join(up, "go.mod")); err == nil {
			return up
		}
	}
}
