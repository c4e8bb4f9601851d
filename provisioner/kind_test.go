package provisioner

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/provisioner/infra"
)

func builtFor(gateway types.NamespacedName) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: gateway.Namespace, Name: gateway.Name + "-rutter", UID: "u", ResourceVersion: "1",
		Labels:          map[string]string{infra.ManagedByLabel: infra.ManagedBy},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Gateway", Name: gateway.Name}},
	}}
}

func TestAListTellsWhatGatewaysLackAndWhatIsBuiltForNone(t *testing.T) {
	whole, lacking, former := types.NamespacedName{Namespace: "a", Name: "whole"}, types.NamespacedName{Namespace: "a", Name: "lacking"}, types.NamespacedName{Namespace: "a", Name: "former"}
	s := &Service{fleet: newFleet(), pauses: newPauses(), queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[types.NamespacedName]())}
	defer s.queue.ShutDown()
	for _, gateway := range []types.NamespacedName{whole, lacking} {
		s.fleet.set(gateway, &routing.Infrastructure{Name: gateway.Name + "-rutter"})
	}
	asked := func() map[types.NamespacedName]bool {
		all := map[types.NamespacedName]bool{}
		for s.queue.Len() > 0 {
			gateway, _ := s.queue.Get()
			s.queue.Done(gateway)
			all[gateway] = true
		}
		return all
	}
	k := newKind(s, built()["Service"])
	list := func(gateways ...types.NamespacedName) {
		t.Helper()
		var all []any
		for _, gateway := range gateways {
			all = append(all, builtFor(gateway))
		}
		if err := k.Replace(all, "1"); err != nil {
			t.Fatal(err)
		}
	}
	list(whole, former)
	if got := asked(); !got[lacking] || !got[former] || !got[whole] || !k.listed.Load() {
		t.Errorf("after the first list %v are looked after", got)
	}
	// What was made for "lacking" meanwhile is gone again, and no watch has said so.
	list(whole, former)
	if got := asked(); !got[lacking] || len(got) != 1 {
		t.Errorf("after the same list %v are looked after", got)
	}
	list(whole)
	if got := asked(); !got[lacking] || !got[former] || len(got) != 2 {
		t.Errorf("after a list without it %v are looked after", got)
	}
}
