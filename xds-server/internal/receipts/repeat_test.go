package receipts

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// air remembers what was announced: the receipts and their sequences.
type air struct {
	t         *testing.T
	receipts  []*routing.Receipt
	sequences []uint64
}

func (a *air) Announce(_ context.Context, m events.Message) error {
	r, sequence, err := routing.DecodeHeartbeat(m)
	if err != nil {
		a.t.Error(err)
		return err
	}
	a.receipts, a.sequences = append(a.receipts, r), append(a.sequences, sequence)
	return nil
}

func TestWhatIsRecordedIsRepeatedAndNothingElse(t *testing.T) {
	run(t, func(ledger *Ledger, to *log) {
		ctx, cancel := context.WithCancel(context.Background())
		said := &air{t: t}
		done := make(chan struct{})
		go func() { defer close(done); ledger.Repeat(ctx, said) }()
		held := envoy("e", 7)
		held.Refused = []routing.Refusal{{Reason: "bad", LastGood: []byte("body"), LastSealed: []byte("key")}}
		ledger.Set(1, held, true)
		<-time.After(3 * time.Second)
		synctest.Wait()
		last := len(said.receipts) - 1
		if last < 2 || len(to.receipts) > 2 {
			t.Fatalf("said %d times, recorded %d times", last+1, len(to.receipts))
		}
		if r := said.receipts[last]; len(r.Envoys) != 1 || r.Envoys[0].Held.Sequence != 7 || said.sequences[last] != uint64(len(to.receipts)) ||
			r.Envoys[0].Refused[0].Reason != "bad" || r.Envoys[0].Refused[0].LastGood != nil || r.Envoys[0].Refused[0].LastSealed != nil {
			t.Errorf("said %+v of %d", r, said.sequences[last])
		}
		if r := to.receipts[len(to.receipts)-1].Envoys[0].Refused[0]; r.LastGood == nil || r.LastSealed == nil {
			t.Errorf("recorded %+v", r)
		}

		// What cannot be recorded is not said either (invariant 4).
		to.down = true
		ledger.Set(1, envoy("e", 8), false)
		<-time.After(3 * time.Second)
		synctest.Wait()
		if r := said.receipts[len(said.receipts)-1]; r.Envoys[0].Held.Sequence != 7 {
			t.Errorf("said %+v, which is not recorded", r)
		}
		to.down = false
		ledger.Set(1, envoy("e", 8), false)
		<-time.After(3 * time.Second)
		synctest.Wait()
		if r := said.receipts[len(said.receipts)-1]; r.Envoys[0].Held.Sequence != 8 {
			t.Errorf("said %+v", r)
		}
		cancel()
		<-done
	})
}
