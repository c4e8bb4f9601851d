package memory

import "testing"

func TestGarbageIsCollectedByItsAmountWithinLimits(t *testing.T) {
	for live, want := range map[uint64]int{0: mostPercent, 16 << 20: mostPercent, 20 << 20: 80, 60 << 20: 25, 160 << 20: leastPercent, 4 << 30: leastPercent} {
		if got := percentOf(live, 16<<20); got != want {
			t.Errorf("with %d MiB in use the target is %d, want %d", live>>20, got, want)
		}
	}
}
