package envoy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/projector/route"
)

// TestLayoutsAnswerAlike puts the same random world into two real Envoys, one per
// layout, and sends both the same random requests. The environment variables
// RUTTER_SEED and RUTTER_ROUNDS repeat a failure or look for longer.
func TestLayoutsAnswerAlike(t *testing.T) {
	seed, rounds := seedAndRounds(t, 6)
	b := newBackends(t, generatedBackends...)
	for round := range rounds {
		seed := seed + uint64(round)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("repeat with RUTTER_SEED=%d RUTTER_ROUNDS=1 go test -run TestLayoutsAnswerAlike ./projector/envoy", seed)
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
			w := g.world()
			w.certificate(t, "cert")
			plain := serve(t, w.withLayout(route.LayoutPlain), b)
			scoped := serve(t, w.withLayout(route.LayoutScoped), b)
			statuses := map[int]int{}
			for range 400 {
				listener, server, text := g.request()
				one, two := raw(t, plain.ports[listener], server, text), raw(t, scoped.ports[listener], server, text)
				statuses[one.Status]++
				if !reflect.DeepEqual(one, two) {
					t.Errorf("%s %s, request\n%s\nplain  %+v\nscoped %+v", listener, server, text, one, two)
				}
			}
			t.Logf("answers by status: %v", statuses)
		})
	}
}

// seedAndRounds are those of the environment, or else a new seed and so many rounds.
func seedAndRounds(t *testing.T, rounds int) (uint64, int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("RUTTER_SEED"); s != "" {
		seed = parse(t, s)
	}
	if s := os.Getenv("RUTTER_ROUNDS"); s != "" {
		rounds = int(parse(t, s))
	}
	return seed, rounds
}

func parse(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// observed is what the two must agree on: what the client got, and what of its
// request the backend saw.
type observed struct {
	Status  int
	Headers map[string][]string
	Echo    echo
}

// differs are headers that may differ between two requests.
var differs = []string{"Date", "X-Request-Id", "X-Envoy-Upstream-Service-Time", "X-Envoy-Expected-Rq-Timeout-Ms", "Content-Length"}

// raw sends a request as text, on a connection of its own, over TLS to a server if
// there is one named.
func raw(t *testing.T, address, server, text string) observed {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if server != "" {
		conn = tls.Client(conn, &tls.Config{ServerName: server, InsecureSkipVerify: true}) // the certificate of a test
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	out := observed{Status: response.StatusCode, Headers: maps.Clone(response.Header)}
	if response.Header.Get("X-From") != "" && body.Len() > 0 {
		if err := json.Unmarshal(body.Bytes(), &out.Echo); err != nil {
			t.Fatalf("%s: %v", body.String(), err)
		}
	}
	for _, name := range differs {
		delete(out.Headers, name)
		out.Echo.Header.Del(name)
	}
	return out
}

// A world made twice from the same tables, whatever order its maps are walked
// in, is the same bytes.
func TestTheSameTablesGiveTheSameBytes(t *testing.T) {
	for seed := range uint64(20) {
		w := (&generator{Rand: rand.New(rand.NewPCG(seed, 1))}).world()
		for _, layout := range []route.Layout{route.LayoutPlain, route.LayoutScoped} {
			w := w.withLayout(layout)
			one, two := outputs(t, w, w.everything()), outputs(t, w, w.everything())
			if !reflect.DeepEqual(one, two) {
				t.Fatalf("seed %d: two results", seed)
			}
		}
	}
}

// Whichever part of a world a change names, the outputs that come of it are those
// of the whole; and together the parts are the whole.
func TestPartsOfAChangeAddUpToTheWhole(t *testing.T) {
	for seed := range uint64(10) {
		w := (&generator{Rand: rand.New(rand.NewPCG(seed, 2))}).world()
		all := w.everything()
		whole := map[OutputID]Output{}
		for _, o := range outputs(t, w, all) {
			whole[o.ID] = o
		}
		parts := map[OutputID]Output{}
		var changes []route.Change
		for i := range all.Gateways {
			changes = append(changes, route.Change{Gateways: all.Gateways[i : i+1]})
		}
		for i := range all.Hosts {
			changes = append(changes, route.Change{Hosts: all.Hosts[i : i+1]})
		}
		for i := range all.Clusters {
			changes = append(changes, route.Change{Clusters: all.Clusters[i : i+1]})
		}
		for _, c := range changes {
			for _, o := range outputs(t, w, c) {
				parts[o.ID] = o
			}
		}
		if !reflect.DeepEqual(whole, parts) {
			t.Fatalf("seed %d: the parts differ from the whole: %v, %v", seed, slices.Collect(maps.Keys(parts)), slices.Collect(maps.Keys(whole)))
		}
	}
}
