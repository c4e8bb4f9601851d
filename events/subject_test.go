package events_test

import (
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

func TestSubjectNamesOneObject(t *testing.T) {
	for _, test := range []struct {
		cluster string
		key     events.Key
		want    string
	}{
		{"eu", events.Key{Resource: "httproutes", Namespace: "shop", Name: "cart"}, "rutter.events.eu.httproutes.shop.cart"},
		{"eu.west", events.Key{Resource: "httproutes", Namespace: "shop", Name: "a.b.c"}, "rutter.events.eu_west.httproutes.shop.a_b_c"},
		{"eu", events.Key{Resource: "gatewayclasses", Name: "rutter"}, "rutter.events.eu.gatewayclasses.-.rutter"},
		{"eu", events.Key{Resource: "endpointslices", Namespace: "shop", Name: "cart-x"}, "rutter.endpoints.eu.endpointslices.shop.cart-x"},
		{"eu", events.SyncKey("services"), "rutter.events.eu.sync.-.services"},
		{"eu", events.SyncKey("endpointslices"), "rutter.endpoints.eu.sync.-.endpointslices"},
		{"eu", events.EpochKey(events.StreamEvents), "rutter.events.eu.epoch.-.events"},
		{"eu", events.EpochKey(events.StreamEndpoints), "rutter.endpoints.eu.epoch.-.endpoints"},
		{"eu", events.EpochKey(events.StreamSnapshots), "rutter.snapshots.eu.epoch.-.snapshots"},
	} {
		got := events.Subject(test.cluster, test.key)
		if got != test.want {
			t.Errorf("subject of %s is %s, want %s", test.key, got, test.want)
		}
		if cluster, key, err := events.ParseSubject(got); err != nil || cluster != test.cluster || key != test.key {
			t.Errorf("%s is read as %s %s: %v", got, cluster, key, err)
		}
	}
}

func TestWhoAskedIsRecordedBesideTheObject(t *testing.T) {
	key := events.Key{Resource: "endpointslices", Namespace: "shop", Name: "a.b"}
	got := events.ActorSubject("eu.west", key)
	if want := "rutter.actors.eu_west.endpointslices.shop.a_b"; got != want {
		t.Errorf("subject is %s, want %s", got, want)
	}
	if cluster, back, err := events.ParseSubject(got); err != nil || cluster != "eu.west" || back != key {
		t.Errorf("%s is read as %s %s: %v", got, cluster, back, err)
	}
	if m := events.Encode(events.Event{ID: "a", Type: events.TypeActor, Cluster: "eu.west", Key: key}); m.Subject != got {
		t.Errorf("it is stored on %s", m.Subject)
	}
}

// Each stream takes its own guard, and nobody else's.
func TestGuardLiesInItsStream(t *testing.T) {
	prefixes := map[string]string{}
	for _, c := range events.Streams(1) {
		if len(c.Subjects) != 1 {
			t.Fatalf("%s has subjects %v", c.Name, c.Subjects)
		}
		prefixes[c.Name] = c.Subjects[0][:len(c.Subjects[0])-1]
	}
	for _, name := range []string{events.StreamEvents, events.StreamEndpoints, events.StreamSnapshots} {
		if guard := events.GuardSubject(name, "c"); len(guard) < len(prefixes[name]) || guard[:len(prefixes[name])] != prefixes[name] {
			t.Errorf("guard of %s is on %s", name, guard)
		}
	}
}

func TestOtherSubjectsAreRefused(t *testing.T) {
	for _, subject := range []string{
		"", "rutter.events.eu", "rutter.events.eu.a.b", "rutter.events.eu.a.b.c.d", "rutter.events..a.b.c",
		"other.events.eu.a.b.c", events.SnapshotSubject("eu"), events.ReceiptSubject("eu", "xds-0"),
	} {
		if cluster, key, err := events.ParseSubject(subject); err == nil {
			t.Errorf("%q is read as %s %s", subject, cluster, key)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	for _, e := range samples() {
		f.Add(events.Encode(e).Subject)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		cluster, key, err := events.ParseSubject(subject)
		if err != nil {
			return
		}
		// A key that cannot lie under that prefix comes back under its own.
		back := events.Subject(cluster, key)
		if c, k, err := events.ParseSubject(back); err != nil || c != cluster || k != key {
			t.Errorf("%q is %s %s, written %q, read as %s %s: %v", subject, cluster, key, back, c, k, err)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	f.Add("abc/17")
	f.Add("a/b/1")
	f.Add("/1")
	f.Add("a/-1")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := events.ParseVersion(s)
		if err != nil {
			return
		}
		if again, err := events.ParseVersion(v.String()); err != nil || again != v || v.IsZero() {
			t.Errorf("%q is %+v, read again as %+v: %v", s, v, again, err)
		}
	})
}
