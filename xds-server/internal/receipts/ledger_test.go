package receipts

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// log is a RECEIPTS stream that remembers when what was appended.
type log struct {
	start    time.Time
	at       []time.Duration
	receipts []*routing.Receipt
	down     bool
}

func (l *log) Publish(_ context.Context, messages ...events.Message) (uint64, error) {
	if l.down {
		return 0, errors.New("no servers available")
	}
	for _, m := range messages {
		r, err := routing.DecodeReceipt(m)
		if err != nil {
			return 0, err
		}
		l.at = append(l.at, time.Since(l.start))
		l.receipts = append(l.receipts, r)
	}
	return uint64(len(l.receipts)), nil
}

func envoy(node string, sequence uint64) routing.EnvoyReceipt {
	return routing.EnvoyReceipt{Node: node, Gateway: "ns/gw", Held: events.Version{Incarnation: "i", Sequence: sequence}}
}

// run calls story in a bubble with a running ledger.
func run(t *testing.T, story func(*Ledger, *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ledger, err := New(Config{Server: "xds-0", Cluster: "c", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		to := &log{start: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); ledger.Run(ctx, to) }()
		synctest.Wait()
		story(ledger, to)
		cancel()
		<-done
	})
}

func TestTheFirstChangeGoesOutAtOnceAndThoseAfterItTogether(t *testing.T) {
	run(t, func(l *Ledger, to *log) {
		time.Sleep(time.Second)
		for i := range uint64(50) {
			l.Set(1, envoy("a", i+1), false)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		// The first picture at 0, then 50 changes within 500 ms.
		want := []int64{0, 1000, 1200, 1400, 1600} // ms
		if len(to.at) != len(want) {
			t.Fatalf("reports at %v, want at %v ms", to.at, want)
		}
		for i := range want {
			if to.at[i].Milliseconds() != want[i] {
				t.Errorf("report %d at %v, want %d ms", i, to.at[i], want[i])
			}
		}
		if last := to.receipts[len(to.receipts)-1]; last.Envoys[0].Held.Sequence != 50 {
			t.Errorf("the last report says %+v", last.Envoys)
		}
	})
}

func TestExceptionsDoNotWait(t *testing.T) {
	run(t, func(l *Ledger, to *log) {
		time.Sleep(time.Second)
		l.Set(1, envoy("a", 1), false)
		synctest.Wait()
		l.Set(2, envoy("b", 1), true)
		time.Sleep(exceptionInterval)
		synctest.Wait()
		if n := len(to.receipts); n != 3 || len(to.receipts[n-1].Envoys) != 2 {
			t.Errorf("%d reports, the last of %d envoys", n, len(to.receipts[n-1].Envoys))
		}
	})
}

func TestALogThatIsDownHoldsUpNobodyAndGetsTheLatestPicture(t *testing.T) {
	run(t, func(l *Ledger, to *log) {
		time.Sleep(time.Second)
		to.down = true
		l.Set(1, envoy("a", 1), true)
		l.Set(1, envoy("a", 2), false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		to.down = false
		l.Set(1, envoy("a", 3), false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		last := to.receipts[len(to.receipts)-1]
		if len(to.receipts) != 2 || last.Envoys[0].Held.Sequence != 3 {
			t.Errorf("%d reports, the last says %+v", len(to.receipts), last.Envoys)
		}
	})
}

func TestOfTwoStreamsOfAnEnvoyTheLaterOneCounts(t *testing.T) {
	run(t, func(l *Ledger, _ *log) {
		l.Set(1, envoy("a", 1), true)
		l.Set(2, envoy("a", 2), true)
		if got := l.picture().Envoys; len(got) != 1 || got[0].Held.Sequence != 2 {
			t.Errorf("got %+v", got)
		}
		l.Remove(2)
		if got := l.picture().Envoys; len(got) != 1 || got[0].Held.Sequence != 1 {
			t.Errorf("got %+v", got)
		}
	})
}
