package provisioner_test

import (
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The API server of the tests has Services of both families.
func TestAServiceHasAnAddressOfEachFamilyWhereEnvoysListenOnBoth(t *testing.T) {
	r := newRig(t)
	one, both, becomes := r.gateway("one"), r.gateway("both"), r.gateway("becomes")
	both.DualStack = true
	r.publish(fleet{"default/one": one, "default/both": both, "default/becomes": becomes})
	stop := r.start()
	has := func(name string, families ...any) {
		t.Helper()
		r.eventually("services", name+"-rutter", field(families, "spec", "ipFamilies"))
		o, err := r.get("services", name+"-rutter")
		must(t, err)
		addresses, _, err := unstructured.NestedStringSlice(o.Object, "spec", "clusterIPs")
		must(t, err)
		if len(addresses) != len(families) {
			t.Fatalf("%s: addresses %v of the families %v", name, addresses, families)
		}
		for i, text := range addresses {
			if ip := netip.MustParseAddr(text); ip.Is6() != (families[i] == "IPv6") {
				t.Errorf("%s: %s is not of %s", name, ip, families[i])
			}
		}
	}
	has("one", "IPv4")
	has("both", "IPv4", "IPv6")
	has("becomes", "IPv4")
	next := *becomes
	next.DualStack = true
	r.publish(fleet{"default/becomes": &next})
	has("becomes", "IPv4", "IPv6")
	stop()
}
