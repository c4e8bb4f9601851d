// Package clock has results that depend on when and where it runs.
package clock

import "time"

var started = time.Now() // want `time.Now reads the clock`

func age(t time.Time) time.Duration { return time.Since(t) } // want `time.Since reads the clock`

func left(t time.Time) time.Duration { return time.Until(t) } // want `time.Until reads the clock`

func wait() { time.Sleep(time.Second) } // want `time.Sleep reads the clock`

func later() <-chan time.Time { return time.After(time.Second) } // want `time.After reads the clock`

func passedOn() func() time.Time { return time.Now } // want `time.Now reads the clock`

func here(t time.Time) string { return t.Local().String() } // want `\(time.Time\).Local depends on the machine's time zone`

func zoned(t time.Time) time.Time { return t.In(time.Local) } // want `time.Local depends on the machine's time zone`

func fine(t time.Time) string { return t.Add(time.Minute).UTC().Format(time.RFC3339) }
