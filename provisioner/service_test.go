package provisioner_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

type fleet = map[string]*routing.Infrastructure

func exists(*unstructured.Unstructured) error { return nil }

// field waits for one to have a value.
func field(want any, path ...string) func(*unstructured.Unstructured) error {
	return func(o *unstructured.Unstructured) error {
		got, _, err := unstructured.NestedFieldNoCopy(o.Object, path...)
		if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			err = fmt.Errorf("%v is %v, want %v", path, got, want)
		}
		return err
	}
}

func TestWhatAGatewayNeedsIsBuiltAndKept(t *testing.T) {
	r := newRig(t)
	gw := r.gateway("gw")
	r.publish(fleet{"default/gw": gw})
	stop := r.start()
	for resource, suffix := range built() {
		r.eventually(resource, "gw-rutter"+suffix, field("shop", "metadata", "labels", "team"))
	}
	r.eventually("secrets", "rutter-xds-tls", exists)

	t.Run("somebody's edit stays where it is nobody's business", func(t *testing.T) {
		r.patch("deployments", "gw-rutter", `{"spec":{"replicas":3},"metadata":{"annotations":{"theirs":"1"},"labels":{"team":"spoilt"}}}`)
		r.eventually("deployments", "gw-rutter", field("shop", "metadata", "labels", "team"))
		for _, check := range []func(*unstructured.Unstructured) error{field(3, "spec", "replicas"), field("1", "metadata", "annotations", "theirs")} {
			r.eventually("deployments", "gw-rutter", check)
		}
	})
	t.Run("what is deleted comes back", func(t *testing.T) {
		for _, resource := range []string{"services", "deployments", "configmaps"} {
			before, err := r.get(resource, "gw-rutter")
			must(t, err)
			must(t, r.resource(resource).Delete(t.Context(), "gw-rutter", metav1.DeleteOptions{}))
			r.eventually(resource, "gw-rutter", func(o *unstructured.Unstructured) error {
				if o.GetUID() == before.GetUID() {
					return errors.New("it is the old one")
				}
				return nil
			})
		}
	})
	t.Run("a change is applied", func(t *testing.T) {
		next := *gw
		next.Ports = []routing.InfrastructurePort{{Port: 80, Protocol: "TCP"}, {Port: 443, Protocol: "TCP"}}
		next.Addresses, next.Labels = []string{"192.0.2.1"}, nil
		r.publish(fleet{"default/gw": &next})
		r.eventually("services", "gw-rutter", field("192.0.2.1", "spec", "loadBalancerIP"))
		o, err := r.get("services", "gw-rutter")
		must(t, err)
		if ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports"); len(ports) != 2 || o.GetLabels()["team"] != "" {
			t.Errorf("the Service has the ports %v and the labels %v", ports, o.GetLabels())
		}
	})
	t.Run("it goes when it is no longer needed", func(t *testing.T) {
		r.publish(fleet{"default/gw": nil})
		for resource, suffix := range built() {
			r.gone(resource, "gw-rutter"+suffix)
		}
		if _, err := r.get("secrets", "rutter-xds-tls"); err != nil {
			t.Error(err)
		}
	})
	stop()
}

func TestAServiceHasTheAddressOfTheClusterThatItCanHave(t *testing.T) {
	r := newRig(t)
	gateways := fleet{"probe": r.gateway("probe"), "has": r.gateway("has"), "none": r.gateway("none")}
	r.publish(fleet{"default/probe": gateways["probe"]})
	stop := r.start()
	r.eventually("services", "probe-rutter", exists)
	o, err := r.get("services", "probe-rutter")
	must(t, err)
	taken, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP")
	ip := net.ParseIP(taken).To4()
	free := net.IPv4(ip[0], ip[1], ip[2], ip[3]^1)
	if free[15] == 0 || free[15] == 1 {
		free[15] = 250
	}
	ask := func(name string, addresses ...string) {
		gw := *gateways[name]
		gw.Internal, gw.ClusterAddresses = true, addresses
		r.publish(fleet{"default/" + name: &gw})
	}
	t.Run("one that is free, after some that cannot be had", func(t *testing.T) {
		ask("has", "192.0.2.77", taken, "2001:db8::1", free.String())
		r.eventually("services", "has-rutter", field(free.String(), "spec", "clusterIP"))
		r.eventually("services", "has-rutter", field("ClusterIP", "spec", "type"))
	})
	t.Run("it stays while others are asked for first", func(t *testing.T) {
		ask("has", "192.0.2.77", free.String())
		r.eventually("services", "has-rutter", field(free.String(), "spec", "clusterIP"))
	})
	t.Run("one that nobody asks for any more stays with the Service", func(t *testing.T) {
		gw := *gateways["has"]
		gw.Labels = map[string]string{"team": "next"}
		r.publish(fleet{"default/has": &gw})
		r.eventually("services", "has-rutter", field("next", "metadata", "labels", "team"))
		r.eventually("services", "has-rutter", field("LoadBalancer", "spec", "type"))
		r.eventually("services", "has-rutter", field(free.String(), "spec", "clusterIP"))
	})
	t.Run("a Service that was there keeps its own, and becomes internal", func(t *testing.T) {
		ask("probe", "192.0.2.77")
		r.eventually("services", "probe-rutter", field("ClusterIP", "spec", "type"))
		r.eventually("services", "probe-rutter", field(taken, "spec", "clusterIP"))
	})
	t.Run("none can be had", func(t *testing.T) {
		ask("none", "192.0.2.77", taken)
		r.eventually("services", "none-rutter", exists)
		o, err := r.get("services", "none-rutter")
		must(t, err)
		if got, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP"); got == taken || got == "192.0.2.77" || got == "" {
			t.Errorf("the Service has the address %q", got)
		}
	})
	stop()
}

func TestWhatChangedWhileNobodyLookedIsMadeGood(t *testing.T) {
	r := newRig(t)
	stays, goes, moves := r.gateway("stays"), r.gateway("goes"), r.gateway("moves")
	r.publish(fleet{"default/stays": stays, "default/goes": goes, "default/moves": moves})
	stop := r.start()
	for _, name := range []string{"stays-rutter", "goes-rutter", "moves-rutter"} {
		r.eventually("deployments", name, exists)
	}
	r.until("all is built", r.complete("stays-rutter", "goes-rutter", "moves-rutter"))
	stop()
	must(t, r.resource("services").Delete(t.Context(), "stays-rutter", metav1.DeleteOptions{}))
	moved := *moves
	moved.Name, moved.Class = "moves-other", "other"
	r.publish(fleet{"default/goes": nil, "default/moves": &moved})
	stop = r.start()
	r.until("all is built", r.complete("stays-rutter", "moves-other"))
	for resource, suffix := range built() {
		r.gone(resource, "goes-rutter"+suffix)
		r.gone(resource, "moves-rutter"+suffix)
	}
	stop()
}

// A checkpoint is older than what has happened since, and who starts reads it first.
func TestNothingIsTakenAwayForAnOldCheckpoint(t *testing.T) {
	r := newRig(t)
	r.publish(fleet{"default/old": r.gateway("old")})
	r.checkpoint()
	r.publish(fleet{"default/new": r.gateway("new"), "default/newer": r.gateway("newer")})
	names := []string{"old-rutter", "new-rutter", "newer-rutter"}
	stop := r.start()
	r.until("all is built", r.complete(names...))
	stop()
	built := map[string]types.UID{}
	for _, name := range names {
		o, err := r.get("deployments", name)
		must(t, err)
		built[name] = o.GetUID()
		must(t, r.resource("poddisruptionbudgets").Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	r.slow = true
	stop = r.start()
	r.until("all is whole again", r.complete(names...))
	stop()
	for _, name := range names {
		if o, err := r.get("deployments", name); err != nil || o.GetUID() != built[name] {
			t.Errorf("%s is another one: %v", name, err)
		}
	}
}

// As when the garbage collector takes away what a Gateway has left, and nobody records
// that it is gone.
func TestWhatIsTakenAwayAgainAndAgainComesBackEverMoreSlowly(t *testing.T) {
	r := newRig(t)
	r.publish(fleet{"default/gw": r.gateway("gw")})
	stop := r.start()
	defer stop()
	r.until("all is built", r.complete("gw-rutter"))
	began := time.Now()
	for range 6 {
		must(t, r.resource("services").Delete(t.Context(), "gw-rutter", metav1.DeleteOptions{}))
		r.eventually("services", "gw-rutter", exists)
	}
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("it comes back six times in %.1f s", took.Seconds())
	}
}

// However often it was asked for in vain, what an API server says when it is back is
// known within seconds, and what could not be built is built.
func TestAnOutageOfTheAPIServerIsOverWithinSeconds(t *testing.T) {
	r := newRig(t)
	late := r.gateway("late")
	r.publish(fleet{"default/gw": r.gateway("gw")})
	stop := r.start()
	defer stop()
	r.until("all is built", r.complete("gw-rutter"))
	r.cluster.Stop()
	r.publish(fleet{"default/late": late})
	// The waits double: the ninth call would come after 25.6 s, the seventh list after 25.
	r.until("an outage", r.inVain("late-rutter-xds", 8))
	r.until("an outage", r.inVain("poddisruptionbudgets", 6))
	r.cluster.Start()
	r.until("the API server is back", func() error {
		return r.resource("poddisruptionbudgets").Delete(t.Context(), "gw-rutter", metav1.DeleteOptions{})
	})
	returned := time.Now()
	r.eventually("poddisruptionbudgets", "gw-rutter", exists)
	r.until("all is built", r.complete("late-rutter"))
	if took := time.Since(returned); took > 20*time.Second {
		t.Errorf("it takes %.1f s", took.Seconds())
	}
}

func TestWhatIsNotTheGatewaysIsLeftAlone(t *testing.T) {
	r := newRig(t)
	_, err := r.resource("services").Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "gw-rutter"},
		"spec": map[string]any{"ports": []any{map[string]any{"port": int64(7)}}},
	}}, metav1.CreateOptions{})
	must(t, err)
	gw, other := r.gateway("gw"), r.gateway("other")
	r.publish(fleet{"default/gw": gw, "default/other": other})
	stop := r.start()
	r.until("all is built", r.complete("other-rutter"))
	r.eventually("configmaps", "gw-rutter", exists) // it comes before the Service
	r.until("it is counted", func() error {
		if n := gwtest.Metric(t, r.registry, "rutter_provisioner_foreign_total"); n == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	o, err := r.get("services", "gw-rutter")
	must(t, err)
	if ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports"); fmt.Sprint(ports[0].(map[string]any)["port"]) != "7" || len(o.GetOwnerReferences()) > 0 {
		t.Errorf("somebody's Service became %v", o.Object)
	}
	must(t, r.resource("services").Delete(t.Context(), "gw-rutter", metav1.DeleteOptions{}))
	r.until("all is built", r.complete("gw-rutter"))
	stop()
	for metric, want := range map[string]float64{
		"rutter_provisioner_gateways": 2, "rutter_provisioner_certificates_issued_total": 4, "rutter_provisioner_lag_messages": 0,
	} {
		if got := gwtest.Metric(t, r.registry, metric); got != want {
			t.Errorf("%s: %v, want %v", metric, got, want)
		}
	}
	for _, result := range []string{"success", "error"} {
		if n := gwtest.Metric(t, r.registry, "controller_reconcile_total", "controller=provisioner", "result="+result); n == 0 {
			t.Errorf("no %s is counted", result)
		}
	}
}

func TestItIsReadyOnceItKnowsWhatThereIsToBeAndWhatThereIs(t *testing.T) {
	r := newRig(t)
	gw := r.gateway("gw")
	r.cluster.Stop()
	stop := r.start()
	says := func(text string) {
		t.Helper()
		r.until("it says "+text, func() error {
			if err := r.service.Ready(); err == nil || !strings.Contains(err.Error(), text) {
				return fmt.Errorf("it says %w", err)
			}
			return nil
		})
	}
	says("no version is read yet")
	r.publish(fleet{"default/gw": gw})
	says("what is built is not read yet: ")
	r.cluster.Start()
	r.until("it is ready", r.service.Ready)
	stop()
}

func TestCertificatesAreKeptAndRenewedInTime(t *testing.T) {
	r := newRig(t)
	r.publish(fleet{"default/gw": r.gateway("gw")})
	serials := func() (all [2]string) {
		for i, name := range []string{"gw-rutter-xds", "rutter-xds-tls"} {
			r.eventually("secrets", name, func(o *unstructured.Unstructured) error {
				c, err := certificate(o)
				if err != nil {
					return err
				}
				all[i] = c.Leaf.SerialNumber.String()
				if i == 0 && c.Leaf.URIs[0].String() != "spiffe://rutter.dev/gateway/default/gw" || i == 1 && c.Leaf.VerifyHostname("rutter-xds.default.svc") != nil {
					return fmt.Errorf("the certificate is for %v %v", c.Leaf.URIs, c.Leaf.DNSNames)
				}
				return nil
			})
		}
		return all
	}
	stop := r.start()
	first := serials()
	r.until("all is built", r.complete("gw-rutter"))
	stop()
	for _, c := range []struct {
		after   time.Duration
		renewed bool
	}{{19 * 24 * time.Hour, false}, {21 * 24 * time.Hour, true}} {
		now := time.Now().Add(c.after)
		r.now.Store(&now)
		must(t, r.resource("deployments").Delete(t.Context(), "gw-rutter", metav1.DeleteOptions{}))
		stop := r.start()
		r.until("all is built", r.complete("gw-rutter")) // so the certificate has been looked at
		r.until("a new certificate", func() error {
			if second := serials(); c.renewed && (second[0] == first[0] || second[1] == first[1]) {
				return errors.New("a certificate is not renewed")
			} else if !c.renewed && second != first {
				t.Fatal("a certificate is renewed too early")
			}
			return nil
		})
		stop()
	}
}

// inVain tells whether something was asked for so often while there was no API server.
func (r *rig) inVain(what string, want int) func() error {
	return func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if got := r.refused[what]; got < want {
			return fmt.Errorf("%s was asked for %d times in vain, want %d", what, got, want)
		}
		return nil
	}
}

func (r *rig) patch(resource, name, patch string) {
	r.t.Helper()
	_, err := r.resource(resource).Patch(r.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	must(r.t, err)
}

// complete tells whether all is built under these names.
func (r *rig) complete(names ...string) func() error {
	return func() error {
		for resource, suffix := range built() {
			for _, name := range names {
				if _, err := r.get(resource, name+suffix); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (r *rig) gone(resource, name string) {
	r.t.Helper()
	r.until(name+" in "+resource+" is gone", func() error {
		if _, err := r.get(resource, name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s %s is still there: %w", resource, name, err)
		}
		return nil
	})
}
