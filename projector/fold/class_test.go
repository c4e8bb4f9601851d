package fold_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

var (
	classKey      = events.Key{Resource: events.GatewayClasses, Name: "edge"}
	parametersKey = events.Key{Resource: events.RutterClasses, Name: "edge"}
	keysKey       = events.Key{Resource: events.ConfigMaps, Namespace: "infra", Name: "keys"}
)

func (s *story) class(uid string) {
	s.t.Helper()
	s.fold(events.ObjectApplied, classKey, fmt.Sprintf(
		`{"metadata":{"name":"edge","uid":%q},"spec":{"controllerName":"c","parametersRef":{"group":"rutter.dev","kind":"RutterClass","name":"edge"}}}`, uid))
}

func (s *story) parameters(spec string) {
	s.t.Helper()
	s.fold(events.ObjectApplied, parametersKey, `{"metadata":{"name":"edge","uid":"p"},"spec":`+spec+`}`)
}

func (s *story) gateway(name, uid, class string, generation int) {
	s.t.Helper()
	s.fold(events.ObjectApplied, events.Key{Resource: events.Gateways, Namespace: "shop", Name: name},
		fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"shop","uid":%q,"generation":%d},"spec":{"gatewayClassName":%q}}`, name, uid, generation, class))
}

func (s *story) runs(name string) bool {
	return s.Class("edge").Runs(s.Object(events.Key{Resource: events.Gateways, Namespace: "shop", Name: name}))
}

// through is the state as it comes back from a checkpoint, and keeps content from there on.
func (s *story) through(content fold.Content) *story {
	s.t.Helper()
	restored := &story{t: s.t, State: fold.NewState("")}
	restored.Keep(content)
	if err := read(stored(s.t, s.State), restored.State); err != nil {
		s.t.Fatal(err)
	}
	return restored
}

const withKeys = `{"proxy":{"replicas":3},"tenancy":{"mode":"authHeader","authHeader":{"issuer":"i","audiences":["a"],"jwks":{"configMapRef":{"namespace":"infra","name":"keys"}}}}}`

func TestParametersThatAreInNoObjectOutliveACheckpoint(t *testing.T) {
	for name, content := range map[string]fold.Content{"everything": fold.Everything, "values": fold.Values, "bytes": fold.Bytes} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.Keep(content)
			s.fold(events.ObjectApplied, keysKey, `{"metadata":{"name":"keys"},"data":{"jwks.json":"{\"keys\":[{\"kty\":\"OKP\",\"x\":\"AAAA\"}]}"}}`)
			s.parameters(withKeys)
			s.class("u")
			s.gateway("old", "o", "edge", 1)
			s.gateway("mover", "m", "other", 1)
			s.fold(events.ObjectDeleted, keysKey, `{}`)
			s.fold(events.ObjectDeleted, parametersKey, `{}`)
			s.gateway("old", "o", "edge", 2)
			s.gateway("mover", "m", "edge", 2)
			s.gateway("new", "n", "edge", 1)
			check := func(when string) {
				t.Helper()
				c := s.Class("edge")
				if c.Problem == "" || c.Parameters == nil || c.Parameters.Proxy.Replicas != 3 || !strings.Contains(c.Parameters.Tenancy.Tokens.Keys, "OKP") {
					t.Errorf("%s the class is %+v", when, c)
				}
				if !s.runs("old") || s.runs("mover") || s.runs("new") {
					t.Errorf("%s the Gateways run: old %v, mover %v, new %v", when, s.runs("old"), s.runs("mover"), s.runs("new"))
				}
			}
			check("when they are gone")
			if content != fold.Values {
				s = s.through(content)
				check("after a checkpoint")
				s = s.through(content)
				check("after another")
			}
			s.class("u")
			s.gateway("old", "o", "edge", 3)
			check("when the class and the Gateway changed")
			s.parameters(`{"proxy":{"replicas":5}}`)
			if c := s.Class("edge"); c.Problem != "" || c.Parameters.Proxy.Replicas != 5 || !s.runs("new") || !s.runs("mover") {
				t.Errorf("with new parameters the class is %+v", c)
			}
			s.parameters(`{"tenancy":{"mode":"labelSelector"}}`)
			if c := s.Class("edge"); c.Problem == "" || c.Parameters.Proxy.Replicas != 5 || !s.runs("new") {
				t.Errorf("with unusable ones the class is %+v", c)
			}
			s.gateway("new", "another", "edge", 1)
			if s.runs("new") {
				t.Error("a Gateway of the same name has what the one before had")
			}
			s.class("v")
			if c := s.Class("edge"); c.Parameters != nil || s.runs("old") {
				t.Errorf("another class of the same name is %+v", c)
			}
			s.fold(events.ObjectDeleted, classKey, `{}`)
			if c := s.Class("edge"); c != nil {
				t.Errorf("a class that is gone is %+v", c)
			}
		})
	}
}

// An older build stored neither the parameters nor when a Gateway came: nothing goes on.
func TestACheckpointOfABuildThatKeptNoParametersIsRead(t *testing.T) {
	s := newStory(t)
	s.parameters(withKeys) // the keys are missing
	s.class("u")
	s.gateway("old", "o", "edge", 1)
	if text := stored(t, s.State); strings.Contains(text, "classes\":") || strings.Contains(text, "entered") {
		t.Errorf("a class that never was usable is stored: %s", text)
	}
	s = s.through(fold.Everything)
	if c := s.Class("edge"); c.Problem == "" || c.Parameters != nil || s.runs("old") {
		t.Errorf("the class is %+v", c)
	}
	s.fold(events.ObjectApplied, keysKey, `{"metadata":{"name":"keys"},"data":{"jwks.json":"{\"keys\":[{\"kty\":\"OKP\",\"x\":\"AAAA\"}]}"}}`)
	s.fold(events.ObjectDeleted, parametersKey, `{}`)
	if !s.runs("old") {
		t.Error("a Gateway from before does not go on")
	}
}

// The stored form of what only the fold knows.
func TestAFailingClassIsStoredAsItWas(t *testing.T) {
	s := newStory(t)
	s.parameters(`{"proxy":{"replicas":3}}`)
	s.class("u")
	s.gateway("old", "o", "edge", 1)
	s.fold(events.ObjectDeleted, parametersKey, `{}`)
	s.gateway("old", "o", "edge", 2)
	text := stored(t, s.State)
	for _, want := range []string{
		`"sequence":5,"since":5,"data":{"metadata":{"name":"old","namespace":"shop","uid":"o","generation":2},"spec":{"gatewayClassName":"edge"}},"entered":3}`,
		`"classes":[{"name":"edge","failed":4,"source":{"spec":{"proxy":{"replicas":3}}}}]`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks\n%s", text, want)
		}
	}
}
