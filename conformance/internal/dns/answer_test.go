package dns

import (
	"net/netip"
	"reflect"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

func TestAnswers(t *testing.T) {
	directory := newDirectory(t)
	addresses := func(texts ...string) answer {
		return answer{exists: true, addresses: parse(texts)}
	}
	for name, want := range map[string]answer{
		"web.default.svc.cluster.local.":            addresses("10.96.0.7"),
		"WEB.Default.svc.Cluster.local.":            addresses("10.96.0.7"),
		"db.default.svc.cluster.local.":             addresses("10.244.0.3", "10.244.0.4"),
		"db-0.db.default.svc.cluster.local.":        addresses("10.244.0.3"),
		"out.default.svc.cluster.local.":            {exists: true, alias: "example.com."},
		"_sql._tcp.db.default.svc.cluster.local.":   {exists: true, services: []target{{"db-0.db.default.svc.cluster.local.", 5432}, {"db-1.db.default.svc.cluster.local.", 5432}}},
		"_http._tcp.web.default.svc.cluster.local.": {exists: true, services: []target{{"web.default.svc.cluster.local.", 80}}},
		"db-2.db.default.svc.cluster.local.":        {}, // not ready
		"db-9.db.default.svc.cluster.local.":        {},
		"web.other.svc.cluster.local.":              {},
		"web.default.":                              {},
		"default.svc.cluster.local.":                {},
		"a.b.c.web.default.svc.cluster.local.":      {},
		"_http._udp.web.default.svc.cluster.local.": {},
		"example.com.":                              {},
	} {
		if got := directory.lookUp(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestReplies(t *testing.T) {
	server := &Server{directory: newDirectory(t)}
	ask := func(name string, kind dnsmessage.Type, limit int) dnsmessage.Message {
		t.Helper()
		question := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
		}
		packed, err := question.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := server.respond(packed, limit)
		if err != nil {
			t.Fatal(err)
		}
		var message dnsmessage.Message
		if err := message.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return message
	}
	if got := ask("db.default.svc.cluster.local.", dnsmessage.TypeA, 512); got.ID != 7 || len(got.Answers) != 2 || got.RCode != dnsmessage.RCodeSuccess {
		t.Errorf("addresses: %+v", got)
	}
	// A name that exists but has no such record is not a name that does not exist.
	if got := ask("db.default.svc.cluster.local.", dnsmessage.TypeAAAA, 512); len(got.Answers) != 0 || got.RCode != dnsmessage.RCodeSuccess {
		t.Errorf("addresses of IPv6: %+v", got)
	}
	if got := ask("nothing.default.svc.cluster.local.", dnsmessage.TypeA, 512); got.RCode != dnsmessage.RCodeNameError {
		t.Errorf("a name that does not exist: %+v", got)
	}
	if got := ask("db.default.svc.cluster.local.", dnsmessage.TypeA, 60); !got.Truncated || len(got.Answers) != 0 {
		t.Errorf("a long answer by UDP: %+v", got)
	}
	if _, err := server.respond([]byte("no message"), 512); err == nil {
		t.Error("nonsense is answered")
	}
}

func newDirectory(t *testing.T) directory {
	t.Helper()
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	add := func(object any) {
		if err := services.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	service := func(name string, spec corev1.ServiceSpec) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: spec}
	}
	add(service("web", corev1.ServiceSpec{
		ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7"},
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
	}))
	add(service("db", corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "sql", Port: 1, Protocol: corev1.ProtocolTCP}},
	}))
	add(service("out", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}))
	name, number, no := "sql", int32(5432), false
	endpoint := func(host, address string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{
			Hostname: &host, Addresses: []string{netip.MustParseAddr(address).String()}, Conditions: discoveryv1.EndpointConditions{Ready: ready},
		}
	}
	slices := map[cache.ObjectName][]*discoveryv1.EndpointSlice{cache.NewObjectName("default", "db"): {{
		Ports:     []discoveryv1.EndpointPort{{Name: &name, Port: &number}},
		Endpoints: []discoveryv1.Endpoint{endpoint("db-0", "10.244.0.3", nil), endpoint("db-1", "10.244.0.4", nil), endpoint("db-2", "10.244.0.5", &no)},
	}}}
	return directory{
		services:  corelisters.NewServiceLister(services),
		endpoints: func(service cache.ObjectName) []*discoveryv1.EndpointSlice { return slices[service] },
	}
}
