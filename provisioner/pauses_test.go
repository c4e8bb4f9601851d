package provisioner

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestWhatVanishesAgainAndAgainIsBuiltEverMoreSlowly(t *testing.T) {
	p := newPauses()
	gateway := types.NamespacedName{Namespace: "shop", Name: "gw"}
	now := time.Now()
	for _, step := range []struct {
		what   string
		passes time.Duration // since the step before
		want   time.Duration
	}{
		{"the first time", 0, 0},
		{"another object of it", 50 * time.Millisecond, 200 * time.Millisecond},
		{"one more", 50 * time.Millisecond, 150 * time.Millisecond},
		{"again", time.Second, 400 * time.Millisecond},
		{"and again", time.Second, 800 * time.Millisecond},
		{"after a while", 2 * time.Minute, 0},
	} {
		now = now.Add(step.passes)
		p.vanished(gateway, now)
		if got := p.left(gateway, now); got != step.want {
			t.Errorf("%s: %v are left, want %v", step.what, got, step.want)
		}
	}
	for range 20 {
		now = now.Add(p.left(gateway, now))
		p.vanished(gateway, now)
	}
	if got := p.left(gateway, now); got != lastRetry {
		t.Errorf("in the end %v are left, want %v", got, lastRetry)
	}
	p.forget(gateway)
	if got := p.left(gateway, now); got != 0 {
		t.Errorf("for another Gateway of the name %v are left", got)
	}
}
