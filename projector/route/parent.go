package route

import (
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// parentKinds are the kinds that routes name as their parents, by resource.
var parentKinds = map[string]string{events.Gateways: "Gateway", events.ListenerSets: "ListenerSet"}

// parent is an object that routes attach to, a Gateway or a ListenerSet, with its
// listeners as they came out among all those of the Gateway.
type parent struct {
	key       events.Key
	gateway   string // namespace/name
	listeners []*listener
	// refuses is why no route can attach, whatever the listeners are.
	refuses problem
	tenancy *tenancy
	verdict routing.Verdict // without attachedRoutes
}

// name is how the parent is called in messages.
func (p *parent) name() string {
	return parentKinds[p.key.Resource] + " " + p.key.Namespace + "/" + p.key.Name
}

func parentOf(key events.Key) node { return node{parentNode, key.Resource, key.Namespace, key.Name} }

func verdictOf(key events.Key) node { return node{verdictNode, key.Resource, key.Namespace, key.Name} }

// listenerID names a listener of a Gateway or of one of its ListenerSets.
type listenerID struct{ gateway, listener string }

// separator stands between the parts of the id of a listener of a ListenerSet: no name
// has it.
const separator = "_"

// listenerIDOf is what tells a listener apart from all others of the Gateway.
func listenerIDOf(object events.Key, name gatewayv1.SectionName) string {
	if object.Resource == events.Gateways {
		return string(name)
	}
	return strings.Join([]string{object.Namespace, object.Name, string(name)}, separator)
}

// parent is the object that has the listener.
func (l listenerID) parent() events.Key {
	parts := strings.Split(l.listener, separator)
	if len(parts) == 1 {
		return gatewayKey(l.gateway)
	}
	return events.Key{Resource: events.ListenerSets, Namespace: parts[0], Name: parts[1]}
}
