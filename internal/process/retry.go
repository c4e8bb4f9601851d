package process

import (
	"context"
	"errors"
	"time"
)

// The wait after a failure doubles up to maxWait; work that went on for
// stableAfter starts it anew.
const (
	firstWait   = 100 * time.Millisecond
	maxWait     = 10 * time.Second
	stableAfter = 30 * time.Second
)

var errEndedByItself = errors.New("it ended without being asked to")

// Retry does work again and again until ctx ends, and waits between two tries.
// failed is told of each error; retryCount is how many there were in a row, from 1.
func Retry(ctx context.Context, work func(context.Context) error, failed func(err error, retryCount int)) {
	wait, retryCount := firstWait, 0
	for {
		started := time.Now()
		err := work(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errEndedByItself
		}
		if time.Since(started) >= stableAfter {
			wait, retryCount = firstWait, 0
		}
		retryCount++
		failed(err, retryCount)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, maxWait)
	}
}
