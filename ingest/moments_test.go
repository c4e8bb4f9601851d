package ingest

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// reached are the moments that a list of events says have come.
func reached(t *testing.T, list []events.Event) []time.Time {
	t.Helper()
	var out []time.Time
	for _, e := range list {
		if e.Type != events.TypeTime {
			continue
		}
		var moment events.TimeReached
		must(t, json.Unmarshal(e.Data, &moment))
		out = append(out, moment.Time)
	}
	return out
}

// In a bubble the certificate is valid for 23 hours more.
func TestTheEndOfACertificateIsRecordedWhenItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(secret(t))
		end := time.Now().Add(23 * time.Hour)
		stop := r.start()
		time.Sleep(23*time.Hour - time.Second)
		synctest.Wait()
		if got := reached(t, r.read(r.config.Events, 0)); len(got) != 0 {
			t.Errorf("before its end %v is recorded", got)
		}
		next := r.after(r.config.Events)
		time.Sleep(time.Second)
		synctest.Wait()
		list := r.read(r.config.Events, next)
		if got := reached(t, list); len(got) != 1 || !got[0].Equal(end) || !list[0].Time.Equal(end) || list[0].Key.Name != "cert" {
			t.Errorf("at %v %+v is recorded", end, list)
		}
		time.Sleep(48 * time.Hour)
		must(t, stop())
		stop = r.start()
		synctest.Wait()
		if got := reached(t, r.read(r.config.Events, 0)); len(got) != 1 {
			t.Errorf("it is recorded %d times", len(got))
		}
		must(t, stop())
	})
}

func TestAMomentThatCameWhileNobodyRecordedIsRecordedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(secret(t))
		stop := r.start()
		synctest.Wait()
		must(t, stop())
		time.Sleep(100 * time.Hour)
		for range 2 {
			stop = r.start()
			synctest.Wait()
			must(t, stop())
		}
		if got := reached(t, r.read(r.config.Events, 0)); len(got) != 1 {
			t.Errorf("%v are recorded", got)
		}
	})
}

func TestACertificateThatIsReplacedHasNoEndToRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(secret(t))
		stop := r.start()
		time.Sleep(20 * time.Hour)
		r.shelf.put(secret(t)) // another one, with 23 hours from here
		time.Sleep(20 * time.Hour)
		synctest.Wait()
		if got := reached(t, r.read(r.config.Events, 0)); len(got) != 0 {
			t.Errorf("the end of a certificate that is gone is recorded: %v", got)
		}
		must(t, stop())
	})
}
