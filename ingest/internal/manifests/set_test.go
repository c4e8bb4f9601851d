package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

const testSettle = 100 * time.Millisecond

// story drives a set without files or a clock.
type story struct {
	t   *testing.T
	set *set
	dec *decoder
	now time.Time
	got Changes
	// disk is what the readable files hold.
	disk map[string]content
}

func newStory(t *testing.T, recorded ...Recorded) *story {
	t.Helper()
	known, err := newSet(testSettle, recorded, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &story{t: t, set: known, dec: testDecoder(t), now: time.Unix(1000, 0), disk: map[string]content{}}
}

// files applies files by name; "" removes one, "!" makes it unreadable.
func (s *story) files(files map[string]string) *story {
	s.t.Helper()
	var updates []update
	var contents []content
	for name, data := range files {
		delete(s.disk, name)
		switch data {
		case "":
			updates = append(updates, update{path: name})
		case "!":
			updates = append(updates, update{path: name, failure: "open: permission denied"})
		default:
			s.disk[name] = content{path: name, data: []byte(data)}
			contents = append(contents, s.disk[name])
		}
	}
	return s.changes(append(updates, s.set.read(s.dec, contents)...))
}

func (s *story) file(name, data string) *story { return s.files(map[string]string{name: data}) }

// later lets the settle time pass.
func (s *story) later() *story {
	s.now = s.now.Add(testSettle)
	return s.changes(nil)
}

func (s *story) changes(updates []update) *story {
	s.t.Helper()
	s.got = s.set.apply(updates, s.now)
	var again []content
	for name := range s.set.wanted {
		again = append(again, s.disk[name])
	}
	clear(s.set.wanted)
	more := s.set.apply(s.set.read(s.dec, again), s.now)
	s.got.Applied, s.got.Problems = append(s.got.Applied, more.Applied...), append(s.got.Problems, more.Problems...)
	if len(s.set.wanted) > 0 {
		s.t.Fatalf("%v are wanted twice", s.set.wanted)
	}
	for i := range s.got.Applied {
		var err error
		if s.got.Applied[i].Object, err = parse(s.got.Applied[i].encoded); err != nil {
			s.t.Fatal(err)
		}
	}
	return s
}

// expect compares the last changes: "+services/default/a:1" is a with port 1.
func (s *story) expect(want ...string) *story {
	s.t.Helper()
	var got []string
	for _, o := range s.got.Applied {
		got = append(got, "+"+o.Key.String()+versionOf(o.Object))
	}
	for _, k := range s.got.Deleted {
		got = append(got, "-"+k.String())
	}
	for _, p := range s.got.Problems {
		got = append(got, "!"+p.Source.String())
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("got  %s\nwant %s\n%+v", got, want, s.got.Problems)
	}
	return s
}

func versionOf(o map[string]any) string {
	spec, _ := o["spec"].(map[string]any)
	if ports, ok := spec["ports"].([]any); ok {
		return fmt.Sprint(":", ports[0].(map[string]any)["port"])
	}
	return ""
}

func service(name string, port int) string { return fmt.Sprintf(smallService, name, port) }

// bad is a Service that is refused but says its name; worse does not say it.
func bad(name string) string { return service(name, 99999) }

const worse = "metadata: {"

func docs(texts ...string) string { return strings.Join(texts, "---\n") }

func TestRefusedDocumentLeavesTheLastGoodVersion(t *testing.T) {
	s := newStory(t)
	s.file("f.yaml", docs(service("a", 1), service("b", 1))).expect("+services/default/a:1", "+services/default/b:1")
	s.file("f.yaml", docs(bad("a"), service("b", 2))).expect("+services/default/b:2", "!f.yaml:1 (document 1)")
	s.later().expect()
	s.file("f.yaml", docs(bad("a"), service("b", 3))).expect("+services/default/b:3") // the problem is known
	if got := s.set.problems(); len(got) != 1 || got[0].Key.Name != "a" {
		t.Errorf("problems %+v", got)
	}
	s.file("f.yaml", docs(service("a", 1), service("b", 3))).expect() // back to the last good version
	if got := s.set.problems(); len(got) != 0 {
		t.Errorf("problems %+v", got)
	}
}

func TestNothingOfAFileIsDeletedWhileADocumentDoesNotSayWhatItIs(t *testing.T) {
	s := newStory(t)
	s.file("f.yaml", docs(service("a", 1), service("b", 1), service("c", 1)))
	s.file("f.yaml", docs(service("b", 2), worse)).expect("+services/default/b:2", "!f.yaml:6 (document 2)")
	s.later().expect()
	s.file("f.yaml", worse).expect("!f.yaml:1 (document 1)")
	s.later().expect()
	s.file("f.yaml", docs(service("a", 2), service("b", 2))).expect("+services/default/a:2")
	s.later().expect("-services/default/c")
}

func TestUnreadableFileKeepsItsObjects(t *testing.T) {
	s := newStory(t)
	s.file("f.yaml", docs(service("a", 1), bad("b")))
	s.file("f.yaml", "!").expect("!f.yaml")
	s.later().expect()
	if got := s.set.problems(); len(got) != 2 {
		t.Errorf("problems %+v", got)
	}
	s.file("f.yaml", docs(service("a", 1))).expect()
	s.later().expect()
}

func TestRenameWithAMistakeKeepsTheOldObjectUntilItIsRight(t *testing.T) {
	s := newStory(t)
	s.file("f.yaml", docs(service("a", 1), service("b", 1)))
	s.file("f.yaml", docs(service("a", 1), bad("new"))).expect("!f.yaml:6 (document 2)")
	s.later().expect()
	s.file("f.yaml", docs(service("a", 2), bad("new"))).expect("+services/default/a:2")
	s.later().expect()
	s.file("f.yaml", docs(service("a", 2), service("new", 1))).expect("+services/default/new:1")
	s.later().expect("-services/default/b")
}

func TestFileThatComesBackBrokenKeepsItsObjects(t *testing.T) {
	s := newStory(t)
	s.file("f.yaml", service("a", 1))
	s.file("f.yaml", "").expect()
	s.file("f.yaml", worse).expect("!f.yaml:1 (document 1)")
	s.later().expect()
	s.file("f.yaml", "")
	s.later().expect("-services/default/a")
	s.file("f.yaml", worse).expect("!f.yaml:1 (document 1)")
	s.later().expect()
}

func TestFirstOfTwoDocumentsAboutOneObjectCounts(t *testing.T) {
	s := newStory(t)
	s.files(map[string]string{"b.yaml": docs(service("x", 2), service("x", 3)), "a.yaml": service("x", 1)}).
		expect("+services/default/x:1", "!b.yaml:1 (document 1)", "!b.yaml:6 (document 2)")
	if got, want := s.got.Problems[0].Message, "services default/x is already defined in a.yaml:1 (document 1)"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	s.file("a.yaml", bad("x")).expect("!a.yaml:1 (document 1)") // it still is the first
	s.file("a.yaml", service("x", 1)).expect()
	s.file("a.yaml", "").expect("+services/default/x:2", "!b.yaml:6 (document 2)") // takes over at once
	s.later().expect()
	s.file("0.yaml", service("x", 4)).expect("+services/default/x:4", "!b.yaml:1 (document 1)", "!b.yaml:6 (document 2)")
}

func TestObjectThatMovesBetweenFilesIsNotDeleted(t *testing.T) {
	s := newStory(t)
	s.file("a.yaml", service("x", 1))
	s.file("a.yaml", "").file("b.yaml", service("x", 1)).expect()
	s.later().expect()
	s.file("a.yaml", service("x", 1)).expect("!b.yaml:1 (document 1)") // copied first, …
	s.file("b.yaml", "").expect()                                      // … then removed
	s.later().expect()
	s.file("a.yaml", worse)
	s.file("b.yaml", service("x", 2)).expect("+services/default/x:2") // a claim counts more than a suspicion
}

func TestAFileThatBecameUnreadableIsWantedOnce(t *testing.T) {
	s := newStory(t)
	s.file("b.yaml", service("x", 1)).expect("+services/default/x:1")
	s.file("a.yaml", service("x", 2)).expect("+services/default/x:2", "!b.yaml:1 (document 1)")
	s.set.apply([]update{{path: "a.yaml"}}, s.now)
	for range 3 { // and it was not read when it was asked for
		clear(s.set.wanted)
		if got := s.set.apply([]update{{path: "b.yaml", failure: "open: permission denied"}}, s.now); len(got.Applied)+len(s.set.wanted) > 0 {
			t.Fatalf("applied %+v, wanted %v", got.Applied, s.set.wanted)
		}
	}
	s.file("b.yaml", service("x", 1)).expect("+services/default/x:1")
}

func TestRecordedObjectsAreComparedOnStart(t *testing.T) {
	key := func(name string) events.Key {
		return events.Key{Resource: events.Services, Namespace: "default", Name: name}
	}
	old := routing.DigestOf([]byte("old"))
	probe := newStory(t).file("p.yaml", service("same", 1))
	recorded := []Recorded{
		{Key: key("same"), File: "f.yaml", Hash: probe.got.Applied[0].Hash},
		{Key: key("changed"), File: "f.yaml", Hash: old},
		{Key: key("refused"), File: "f.yaml", Hash: old},
		{Key: key("removed"), File: "f.yaml", Hash: old},
		{Key: key("moved"), File: "gone.yaml", Hash: old},
		{Key: key("gone"), File: "gone.yaml", Hash: old},
		{Key: key("unreadable"), File: "u.yaml", Hash: old},
		{Key: key("unclear"), File: "w.yaml", Hash: old},
	}
	s := newStory(t, recorded...)
	s.files(map[string]string{
		"f.yaml":    docs(service("same", 1), service("changed", 2), bad("refused"), service("moved", 3)),
		"gone.yaml": "", "u.yaml": "!", "w.yaml": worse,
	}).expect("+services/default/changed:2", "+services/default/moved:3", "-services/default/gone", "-services/default/removed",
		"!f.yaml:11 (document 3)", "!u.yaml", "!w.yaml:1 (document 1)")
	s.later().expect()
}

func TestRulesAboutUpdatesSeeTheLastGoodVersion(t *testing.T) {
	class := func(controller, description string) string {
		return fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1beta1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: %s, description: %s}\n", controller, description)
	}
	s := newStory(t)
	s.file("c.yaml", class("a.example/x", "one")).expect("+gatewayclasses/-/c")
	s.file("c.yaml", class("b.example/x", "one")).expect("!c.yaml:1 (document 1)")
	want := `GatewayClass.gateway.networking.k8s.io "c" is invalid: spec.controllerName: Invalid value: "b.example/x": field is immutable`
	if got := s.got.Problems[0].Message; got != want {
		t.Errorf("message %q\nwant %q", got, want)
	}
	s.file("c.yaml", class("a.example/x", "two")).expect("+gatewayclasses/-/c")

	object := s.got.Applied[0]
	s = newStory(t, Recorded{Key: object.Key, File: "c.yaml", Hash: object.Hash, Object: object.Object})
	s.file("c.yaml", class("b.example/x", "one")).expect("!c.yaml:1 (document 1)")
	s.file("c.yaml", "").expect()
	s.later().expect("-gatewayclasses/-/c")
	s.file("c.yaml", class("b.example/x", "one")).expect("+gatewayclasses/-/c")
}

func TestUnchangedDocumentsAreNotDecodedAgain(t *testing.T) {
	s := newStory(t)
	s.file("f.yaml", docs(service("a", 1), service("b", 1)))
	first := s.set.files["f.yaml"].documents
	s.file("f.yaml", docs("# moved down\n"+service("c", 1), service("a", 1), service("b", 2))).
		expect("+services/default/b:2", "+services/default/c:1")
	second := s.set.files["f.yaml"].documents
	if second[1].verdicts[0] != first[0].verdicts[0] {
		t.Error("an unchanged document was decoded again")
	}
}

func TestForgottenFilesLeaveNothingBehind(t *testing.T) {
	s := newStory(t)
	for i := range 20 {
		name := fmt.Sprintf("f%d.yaml", i)
		s.file(name, docs(service(fmt.Sprint("s", i), 1), worse)).file(name, "").later()
	}
	if n := len(s.set.files) + len(s.set.objects) + len(s.set.compared) + len(s.set.vanished); n != 0 {
		t.Errorf("left behind: %+v", s.set)
	}
}
