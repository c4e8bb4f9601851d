package replay_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// A provisioned Gateway none of whose listeners can be served has Envoys and nothing
// for them. That is published once, and not again by every restart.
func TestAGatewayThatServesNothingIsPublishedOnce(t *testing.T) {
	settings, err := json.Marshal(events.EpochOpened{Epoch: 1, Holder: "test", Settings: &events.Settings{
		ControllerName: "rutter.dev/gateway-controller", ListenAddress: "0.0.0.0", RouteLayout: "scoped", Provisioned: true,
	}})
	must(t, err)
	gateway := events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}
	list := []events.Event{
		{Type: events.TypeEpoch, Key: events.EpochKey(events.StreamEvents), Data: settings},
		{Type: events.ObjectApplied, Key: events.Key{Resource: events.GatewayClasses, Name: "rutter"},
			Data: []byte(`{"metadata":{"name":"rutter","uid":"c","generation":1},"spec":{"controllerName":"rutter.dev/gateway-controller"}}`)},
		{Type: events.ObjectApplied, Key: gateway, Data: []byte(`{"metadata":{"name":"gw","namespace":"default","uid":"g","generation":1},"spec":{"gatewayClassName":"rutter",` +
			`"listeners":[{"name":"https","port":443,"protocol":"HTTPS","tls":{"certificateRefs":[{"name":"missing"}]}}]}}`)},
	}
	for i := range list {
		list[i].Sequence, list[i].ID, list[i].Time = uint64(i+1), fmt.Sprint(i+1), time.Unix(1, 0)
	}
	e, published := replay.New("test"), routing.NewState()
	project(t, e, list, len(list), published)
	if published.Gateways["default/gw"] == nil {
		t.Fatal("the Gateway is not published")
	}
	again := replay.FromState(e.State())
	again.Resume(published)
	if snap := again.Project(); snap != nil {
		t.Errorf("a restart publishes %+v", snap)
	}

	gone := events.Event{Sequence: 4, ID: "4", Type: events.ObjectDeleted, Key: gateway, Data: []byte(`{}`), Time: time.Unix(2, 0)}
	project(t, again, []events.Event{gone}, 1, published)
	if published.Gateways["default/gw"] != nil {
		t.Error("the Gateway is published although it is gone")
	}
}
