package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

func TestAWatchThatBrokeGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(route("a", "a.example"))
	w.start()
	next := w.after(w.config.Events)
	w.api.Break()
	w.api.Apply(route("b", "b.example"))
	w.await(w.config.Events, next, "applied httproutes/b")
	if got := w.listings(events.HTTPRoutes); got != "… listed" {
		t.Errorf("routes were listed: %s", got)
	}
}

func TestAnExpiredWatchIsAnotherList(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 3))
	w.start()
	next := w.after(w.config.Events)
	w.api.Down()
	w.api.Delete(events.HTTPRoutes, "shop/r01")
	w.api.Apply(route("b", "b.example"))
	w.api.Expire()
	w.api.Up()
	w.await(w.config.Events, next, "applied httproutes/b, deleted httproutes/r01")
	w.until("the second list is complete", func() bool { return w.listings(events.HTTPRoutes) == "… listed … listed" })
}

func TestAListThatBreaksOffIsNotCompleteAndNothingIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 8))
	stop := w.start()
	stop()
	w.api.BreakLists(30)
	next := w.after(w.config.Events)
	w.start()
	if got := w.listings(events.HTTPRoutes); got != "… listed … listed" {
		t.Errorf("routes were listed: %s", got)
	}
	w.await(w.config.Events, next, "")
	if n := w.count(); n != 8 {
		t.Errorf("%d routes are in force, want 8", n)
	}
}

func TestAListThatLacksWhatExistsDeletesNothingAndSaysSo(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 40))
	w.start()
	next := w.after(w.config.Events)
	w.api.Hide(events.HTTPRoutes, func(name string) bool { return name > "shop/r03" })
	w.api.Expire()
	w.until("the list is not believed", func() bool { return strings.HasSuffix(w.listings(events.HTTPRoutes), " ListIncomplete") })
	said := problems(t, w.read(w.config.Events, next), events.HTTPRoutes)
	if want := "ListIncomplete: The API server lists httproutes without 36 of them, which exist and stay in force."; said[len(said)-1] != want {
		t.Errorf("said %q, want %q", said, want)
	}
	w.api.Hide(events.HTTPRoutes, nil)
	w.until("the list is believed", func() bool { return strings.HasSuffix(w.listings(events.HTTPRoutes), " listed") })
	w.await(w.config.Events, next, "")
	if n := w.count(); n != 40 {
		t.Errorf("%d routes are in force, want 40", n)
	}
}

func TestDeletionsOfMostObjectsWhileNobodyLookedAreHeld(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 40) + fmt.Sprintf(class, "a", "b"))
	stop := w.start()
	stop()
	for i := range 30 {
		w.api.Delete(events.HTTPRoutes, fmt.Sprintf("shop/r%02d", i))
	}
	next := w.after(w.config.Events)
	stop = w.start()
	w.until("they are held", func() bool { return strings.HasSuffix(w.listings(events.HTTPRoutes), " DeletionsHeld") })
	stop()
	// A restart forgets nothing and believes nothing.
	w.start()
	w.until("they are held again", func() bool { return strings.Count(w.listings(events.HTTPRoutes), "DeletionsHeld") == 2 })
	said := problems(t, w.read(w.config.Events, next), events.HTTPRoutes)
	token := tokenPattern.FindStringSubmatch(said[len(said)-1])[1]
	next = w.after(w.config.Events)
	w.api.Apply(route("r00", "back.example"))
	w.until("one is back", func() bool { return w.after(w.config.Events) > next })
	if n := w.count(); n != 40 {
		t.Fatalf("%d routes are in force, want 40", n)
	}
	said = problems(t, w.read(w.config.Events, next), events.HTTPRoutes)
	w.until("it says how many there are now", func() bool {
		said = problems(t, w.read(w.config.Events, next), events.HTTPRoutes)
		return len(said) > 0
	})
	fresh := tokenPattern.FindStringSubmatch(said[0])[1]
	w.api.Apply(fmt.Sprintf(class, ConfirmAnnotation, token)) // of what was missing before
	w.api.Apply(fmt.Sprintf(class, ConfirmAnnotation, "\""+token+","+fresh+"\""))
	w.until("they are deleted", func() bool { return w.count() == 11 })
	w.until("it says so", func() bool { return strings.HasSuffix(w.listings(events.HTTPRoutes), " listed") })
}

func TestAKindThatMayNotBeListedIsNeverEmpty(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 3))
	w.api.Forbid(events.Services)
	s, stop := w.begin()
	w.until("it says why it is not ready", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "services cannot be listed: The API server does not let ingest list and watch services")
	})
	w.until("the others are recorded", func() bool { return w.count() == 3 })
	if got := w.listings(events.Services); strings.Contains(got, "listed") || strings.Contains(got, "Forbidden") {
		t.Errorf("services: %s, although nothing was ever known of them", got)
	}
	w.api.Allow(events.Services)
	w.until("it is ready", func() bool { return s.Ready() == nil })
	stop()

	// By now it is known what there was.
	w.api.Forbid(events.Services)
	w.start()
	w.until("services are said to be forbidden", func() bool { return strings.HasSuffix(w.listings(events.Services), "Forbidden") })
	next := w.after(w.config.Events)
	w.api.Apply(route("b", "b.example"))
	w.await(w.config.Events, next, "applied httproutes/b")
	w.api.Allow(events.Services)
	w.until("services are listed", func() bool { return strings.HasSuffix(w.listings(events.Services), "listed") })
}

func TestAKindThatIsForbiddenWhileItIsWatchedKeepsItsObjects(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(service("web"))
	w.start()
	next := w.after(w.config.Events)
	w.api.Forbid(events.Services)
	w.until("services are said to be forbidden", func() bool { return strings.HasSuffix(w.listings(events.Services), "Forbidden") })
	w.api.Apply(service("web2"))
	w.api.Allow(events.Services)
	w.await(w.config.Events, next, "applied services/web2")
	w.until("that is over", func() bool { return w.listings(events.Services) == "… listed Forbidden listed" })
}

func TestAKindThatIsInstalledLaterIsFollowedThen(t *testing.T) {
	w := newWorld(t)
	w.api.Uninstall(events.ReferenceGrants)
	w.api.Apply(routes(0, 1))
	w.start()
	if got := w.listings(events.ReferenceGrants); got != "NotInstalled" {
		t.Errorf("referencegrants: %s", got)
	}
	next := w.after(w.config.Events)
	w.api.Install(events.ReferenceGrants, "v1.7.0")
	w.api.Apply(`{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop}, spec: {}}`)
	w.await(w.config.Events, next, "applied customresourcedefinitions/referencegrants.gateway.networking.k8s.io, applied referencegrants/g")
	w.until("they are listed", func() bool { return w.listings(events.ReferenceGrants) == "NotInstalled … listed" })
	// Taking the definition away takes the objects away, before everybody's eyes.
	next = w.after(w.config.Events)
	w.api.Uninstall(events.ReferenceGrants)
	w.api.Break()
	w.until("it is said to be gone", func() bool { return strings.HasSuffix(w.listings(events.ReferenceGrants), "NotInstalled") })
	w.until("all is recorded", func() bool {
		got := story(w.read(w.config.Events, next))
		return strings.Contains(got, "deleted referencegrants/g") && strings.Contains(got, "deleted customresourcedefinitions")
	})
}

func TestObjectsOfAKindThatWentMissingUnseenStay(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 2))
	stop := w.start()
	stop()
	w.api.Uninstall(events.HTTPRoutes)
	w.start()
	w.until("it is said to be gone", func() bool { return strings.HasSuffix(w.listings(events.HTTPRoutes), "Uninstalled") })
	if n := w.count(); n != 2 {
		t.Errorf("%d routes are in force, want 2", n)
	}
}

func TestDefinitionsThatMayNotBeReadStopNothing(t *testing.T) {
	w := newWorld(t)
	w.api.Forbid(events.CustomResourceDefinitions)
	w.api.Apply(routes(0, 2))
	w.start()
	if n := w.count(); n != 2 {
		t.Errorf("%d routes are in force, want 2", n)
	}
	if got := w.listings(events.CustomResourceDefinitions); got != "Forbidden" {
		t.Errorf("definitions: %s", got)
	}
}

func TestAClusterThatWasRestoredIsANewEpoch(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 5))
	w.start()
	backup := w.api.Backup()
	w.api.Apply(route("lost", "a.example") + route("r00", "lost.example"))
	w.until("the change is recorded", func() bool { return w.count() == 6 })
	next := w.after(w.config.Events)
	w.api.Restore(backup)
	w.until("a new epoch has listed everything", func() bool {
		got := story(w.read(w.config.Events, next))
		return strings.HasPrefix(got, "epoch.opened") && strings.Contains(got, "deleted httproutes/lost") && strings.Contains(got, "applied httproutes/r00")
	})
}

func TestAnotherClusterIsNotRecordedOverTheFirst(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 5))
	stop := w.start()
	next := w.after(w.config.Events)
	w.api.Down()
	w.api.Become("cluster-2")
	for i := range 5 {
		w.api.Delete(events.HTTPRoutes, fmt.Sprintf("shop/r%02d", i))
	}
	w.api.Expire()
	w.api.Up()
	asked := w.api.Asked("get namespaces (metadata)")
	w.until("it has looked twice", func() bool { return w.api.Asked("get namespaces (metadata)") > asked+20 })
	stop()
	w.await(w.config.Events, next, "")

	_, cancel, ended := w.run(w.config)
	defer cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "the history of another cluster") {
		t.Errorf("a start on another cluster ends with %v", err)
	}
	w.config.Kubernetes.Replaces = "cluster-1"
	w.start()
	w.until("what the other one had is gone", func() bool { return w.count() == 0 })
}

func TestTheAPIServerMayBeAwayForAnyTime(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 2))
	stop := w.start()
	next := w.after(w.config.Events)
	w.api.Down()
	stop()
	s, stop := w.begin()
	w.until("it waits", func() bool { return s.Ready() != nil })
	if got := story(w.read(w.config.Events, next)); got != "" {
		t.Errorf("recorded %s while nothing could be known", got)
	}
	w.api.Apply(route("b", "b.example"))
	w.api.Up()
	w.await(w.config.Events, next, "applied httproutes/b")
	stop()
}

func TestAWriterEndsAsSoonAsAnotherTakesOver(t *testing.T) {
	w := newWorld(t)
	first, cancelFirst, firstEnded := w.run(w.config)
	defer cancelFirst()
	w.until("the first records", func() bool { return first.Ready() == nil })
	c := w.config
	c.Holder = "second"
	_, cancel, ended := w.run(c)
	if err := <-firstEnded; !errors.Is(err, events.ErrFenced) { // although nothing happens that it could record
		t.Errorf("the first ends with %v", err)
	}
	cancel()
	must(t, <-ended)
}

func TestAReferenceThatCannotBeReadHoldsUpNothing(t *testing.T) {
	w := newWorld(t)
	w.api.Disable(events.ClusterTrustBundles)
	w.start()
	next := w.after(w.config.Events)
	const gateway = `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: %s, namespace: shop},
 spec: {gatewayClassName: rutter, listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: "%s"}]}}],
  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "%s", kind: %s, name: ca}]}}}}}}
---
`
	w.api.Forbid(events.Secrets)
	w.api.Apply(fmt.Sprintf(gateway, "a", "no/name", "", "ConfigMap") + fmt.Sprintf(gateway, "b", "..", "certificates.k8s.io", "ClusterTrustBundle") +
		fmt.Sprintf(gateway, "c", "forbidden", "", "ConfigMap"))
	w.await(w.config.Events, next, "applied gateways/a, applied gateways/b, applied gateways/c")
}
