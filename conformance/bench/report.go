package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is what was measured; nil is what was not.
type Report struct {
	Status  *Status
	Latency *Latency
	Memory  *Memory
	List    *List
	Sets    *Sets
}

// The targets, on two processors.
const (
	servedMedian   = 40 * time.Millisecond
	servedWorst    = 120 * time.Millisecond // the 99th percentile
	statusRight    = 5 * time.Second
	writesPerRoute = 1.2
	listRecorded   = 8 * time.Second
	residentMost   = 500 // MiB, of all processes

	coldAcknowledged = 90 * time.Second
	coldResident     = 1000 // MB
)

// Wrong tells whether anything was answered wrongly.
func (r *Report) Wrong() bool {
	return r.Latency != nil && len(r.Latency.Answers.Wrong) > 0 || r.Sets != nil && r.Sets.Wrong > 0
}

// Print prints a line for each target, and the memory of each role.
func (r *Report) Print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(met bool, what, got, target string) {
		verdict := "met"
		if !met {
			verdict = "MISSED"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", what, got, target, verdict)
	}
	fmt.Fprintln(table, "\nmeasured\tresult\ttarget\t")
	if l := r.Latency; l != nil {
		median, worst := percentile(l.Served, 50), percentile(l.Served, 99)
		line(median <= servedMedian, fmt.Sprintf("created → first 200, at %d routes, p50 of %d", l.Routes, len(l.Served)), milliseconds(median), "≤ "+milliseconds(servedMedian))
		line(worst <= servedWorst, "  p99", milliseconds(worst), "≤ "+milliseconds(servedWorst))
		line(len(l.Answers.Wrong) == 0, "  answers but 404 before and 200 after", l.Answers.String(), "none")
		fmt.Fprintf(table, "  (create itself p50 %s, p99 %s; asked every %s, p99 %s)\t\t\t\n", milliseconds(percentile(l.Create, 50)), milliseconds(percentile(l.Create, 99)),
			milliseconds(percentile(l.Poll, 50)), milliseconds(percentile(l.Poll, 99)))
	}
	if s := r.Status; s != nil {
		each := s.Writes / float64(s.Routes)
		line(s.Right <= statusRight, fmt.Sprintf("last of %d routes created → every status right", s.Routes), seconds(s.Right), "≤ "+seconds(statusRight))
		line(each <= writesPerRoute, "  writes per route", fmt.Sprintf("%.2f", each), fmt.Sprintf("≤ %.1f", writesPerRoute))
		fmt.Fprintf(table, "  (creating them took %s)\t\t\t\n", seconds(s.Created))
	}
	if l := r.List; l != nil {
		line(l.Recorded <= listRecorded, fmt.Sprintf("ingest started → %d routes recorded", l.Routes), seconds(l.Recorded), "≤ "+seconds(listRecorded))
		fmt.Fprintf(table, "  (every kind %s)\t\t\t\n", seconds(l.Ready))
	}
	if m := r.Memory; m != nil {
		sum := total(m.Idle)
		line(sum.Proportional <= residentMost, fmt.Sprintf("resident at %d routes, all roles and NATS", m.Routes), mib(sum.Proportional), "≤ "+mib(residentMost))
		line(sum.Resident <= residentMost, "  with the one program counted for each role", mib(sum.Resident), "≤ "+mib(residentMost))
		printFootprints(table, fmt.Sprintf("%d routes", m.Routes), m.Busy, m.Idle)
	}
	if s := r.Sets; s != nil {
		what := fmt.Sprintf("%d ListenerSets with %d routes", s.Sets, s.Routes)
		line(s.Acknowledged <= coldAcknowledged, "installed with "+what+" → all acknowledged by Envoy", seconds(s.Acknowledged), "≤ "+seconds(coldAcknowledged))
		line(s.Wrong == 0, "  routes that then do not answer 200", fmt.Sprint(s.Wrong), "none")
		const megabyte = 1e6 / (1 << 20)
		services, all := total(withoutNATS(s.Busy)), total(s.Busy)
		line(services.Resident <= coldResident*megabyte, "  then resident, the one program counted for each role", mib(services.Resident), "≤ "+mib(coldResident*megabyte))
		fmt.Fprintf(table, "  (with NATS %s, with the program counted once %s; Envoy has %s; services ready %s, every status written %s)\t\t\t\n",
			mib(all.Resident), mib(all.Proportional), mib(s.Proxy), seconds(s.Installed), seconds(s.Statuses))
		printFootprints(table, what, s.Busy, s.Idle)
	}
	return table.Flush()
}

func printFootprints(table io.Writer, what string, busy, idle []Footprint) {
	fmt.Fprintf(table, "\nMiB at %s\tbusy RSS, PSS\tidle RSS, PSS\tpeak\n", what)
	busy, idle = append(busy, total(busy)), append(idle, total(idle))
	for i, later := range idle {
		fmt.Fprintf(table, "  %s\t%.0f, %.0f\t%.0f, %.0f\t%.0f\n", later.Role, busy[i].Resident, busy[i].Proportional, later.Resident, later.Proportional, later.Peak)
	}
}

func withoutNATS(all []Footprint) []Footprint {
	return slices.DeleteFunc(slices.Clone(all), func(one Footprint) bool { return one.Role == "nats" })
}

// total adds up what processes have.
func total(all []Footprint) Footprint {
	sum := Footprint{Role: "together"}
	for _, one := range all {
		sum.Resident += one.Resident
		sum.Proportional += one.Proportional
		sum.Peak += one.Peak
	}
	return sum
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func mib(amount float64) string { return fmt.Sprintf("%.0f MiB", amount) }
