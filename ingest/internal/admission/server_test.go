package admission

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

const path = "/observe/secret"

// publisher takes messages while it is open.
type publisher struct {
	mu       sync.Mutex
	messages []events.Message
	err      error
	blocked  bool
}

func (p *publisher) Publish(ctx context.Context, messages ...events.Message) (uint64, error) {
	p.mu.Lock()
	blocked, err := p.blocked, p.err
	p.mu.Unlock()
	if blocked {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.messages = append(p.messages, messages...)
	}
	return uint64(len(p.messages)), err
}

func (p *publisher) set(err error, blocked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.blocked = err, blocked
}

// seen are those of whom it was recorded.
func (p *publisher) seen(t *testing.T) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, m := range p.messages {
		e, err := events.Decode(m)
		if err != nil {
			t.Fatal(err)
		}
		var seen events.ActorObserved
		if err := json.Unmarshal(e.Data, &seen); err != nil {
			t.Fatal(err)
		}
		out = append(out, seen.User+" "+seen.Operation+" "+e.Key.String())
	}
	return strings.Join(out, ", ")
}

func newServer(t *testing.T, to Publisher) *Server {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return &Server{
		Config:  Config{Reviewer: Reviewer{Cluster: "c", Now: time.Now}, Path: func() string { return path }, Stream: to, Logger: slog.New(slog.DiscardHandler)},
		metrics: m, queue: make(chan events.Event, queueLength),
	}
}

// review is a request of a user for an object to become another one; "" is none.
func review(user, operation, resource, before, after string) string {
	group := map[string]string{"secrets": "", "services": ""}
	g, core := group[resource]
	if !core {
		g = "gateway.networking.k8s.io"
	}
	part := func(name, object string) string {
		if object == "" {
			return ""
		}
		return fmt.Sprintf(`,%q:%s`, name, object)
	}
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"review-%s","operation":%q,"userInfo":{"username":%q,"groups":["g"]},"resource":{"group":%q,"version":"v1","resource":%q}%s%s}}`,
		user, operation, user, g, resource, part("oldObject", before), part("object", after))
}

func object(version string, weight int) string {
	return fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1beta1","kind":"HTTPRoute","metadata":{"name":"r","namespace":"shop","uid":"u","resourceVersion":%q},"spec":{"weight":%d},"status":{"parents":[]}}`, version, weight)
}

func (s *Server) ask(t *testing.T, body string) (code int, answer string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

// allowed asks, and holds the server to allowing it.
func (s *Server) allowed(t *testing.T, body string) {
	t.Helper()
	code, answer := s.ask(t, body)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(answer), &review); err != nil || code != http.StatusOK || review.Kind != "AdmissionReview" ||
		review.Response == nil || !review.Response.Allowed || !strings.HasPrefix(string(review.Response.UID), "review-") {
		t.Errorf("answered %d %s: %v", code, answer, err)
	}
}

func (s *Server) droppedFor(reason string) int {
	return int(testutil.ToFloat64(s.metrics.dropped.WithLabelValues(reason)))
}

func TestEverythingIsAllowedAndWhatChangesSomethingIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &publisher{}
		s := newServer(t, to)
		ctx, cancel := context.WithCancel(t.Context())
		var recording sync.WaitGroup
		recording.Go(func() { s.record(ctx) })
		s.allowed(t, review("alice", "CREATE", "httproutes", "", object("", 1)))
		s.allowed(t, review("bob", "UPDATE", "httproutes", object("5", 1), object("5", 2)))
		s.allowed(t, review("carol", "DELETE", "httproutes", object("6", 2), ""))
		s.allowed(t, review("status", "UPDATE", "httproutes", object("5", 1), strings.Replace(object("5", 1), `"parents":[]`, `"parents":[{}]`, 1)))
		s.allowed(t, review("other", "CREATE", "endpointslices", "", object("", 1)))
		s.allowed(t, review("proxy", "CONNECT", "httproutes", object("5", 1), ""))
		s.allowed(t, review("empty", "UPDATE", "httproutes", "", ""))
		s.allowed(t, review("nameless", "CREATE", "httproutes", "", `{"apiVersion":"v1","kind":"HTTPRoute","metadata":{"name":"r"}}`))
		synctest.Wait()
		if got, want := to.seen(t), "alice CREATE httproutes/shop/r, bob UPDATE httproutes/shop/r, carol DELETE httproutes/shop/r"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		for reason, want := range map[string]int{reasonUnchanged: 1, reasonUnrecorded: 3, reasonUnreadable: 1} {
			if got := s.droppedFor(reason); got != want {
				t.Errorf("%d are dropped as %s, want %d", got, reason, want)
			}
		}
		cancel()
		recording.Wait()
	})
}

func TestWhatIsNoReviewIsRefused(t *testing.T) {
	s := newServer(t, &publisher{})
	for _, body := range []string{"", "{", `{"kind":"AdmissionReview"}`, `{"x":"` + strings.Repeat("x", maxReview) + `"}`} {
		if code, answer := s.ask(t, body); code != http.StatusBadRequest || !strings.HasPrefix(answer, "read the review: ") {
			t.Errorf("answered %d %s", code, answer)
		}
	}
	if got := s.droppedFor(reasonUnreadable); got != 4 {
		t.Errorf("%d are counted", got)
	}
}

func TestWhoDoesNotKnowThePathIsNotHeard(t *testing.T) {
	s := newServer(t, &publisher{})
	known := s.Path
	for _, at := range []string{"/", "/observe", "/observe/", "/observe/other"} {
		for _, s.Path = range []func() string{known, func() string { return "" }} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, at, strings.NewReader(review("mallory", "CREATE", "httproutes", "", object("", 1)))))
			if w.Code != http.StatusNotFound {
				t.Errorf("%s is answered with %d", at, w.Code)
			}
		}
	}
	if got := s.droppedFor(reasonStranger); got != 8 || len(s.queue) != 0 {
		t.Errorf("%d are counted, %d are to be recorded", got, len(s.queue))
	}
}

func TestTheAPIServerNeverWaitsForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &publisher{blocked: true}
		s := newServer(t, to)
		ctx, cancel := context.WithCancel(t.Context())
		var recording sync.WaitGroup
		recording.Go(func() { s.record(ctx) })
		began := time.Now()
		const beyond = 10
		for range queueLength + 1 + beyond {
			s.allowed(t, review("alice", "CREATE", "httproutes", "", object("", 1)))
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("answering took %v", took)
		}
		if got := s.droppedFor(reasonFull); got != beyond {
			t.Errorf("%d were dropped, want %d", got, beyond)
		}
		cancel()
		recording.Wait()
		if took := time.Since(began); took != farewell {
			t.Errorf("it ended after %v, with the log blocked", took)
		}
		if got := s.droppedFor(reasonLog); got != queueLength+1 {
			t.Errorf("%d were lost at the end, want %d", got, queueLength+1)
		}
	})
}

func TestALogThatRefusesIsTriedAgainAndWhatItNeverTakesIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &publisher{err: errors.New("no quorum")}
		s := newServer(t, to)
		ctx, cancel := context.WithCancel(t.Context())
		var recording sync.WaitGroup
		recording.Go(func() { s.record(ctx) })
		s.allowed(t, review("alice", "CREATE", "httproutes", "", object("", 1)))
		<-time.After(retryAfter * 3 / 2)
		to.set(nil, false)
		<-time.After(retryAfter)
		if got := to.seen(t); got != "alice CREATE httproutes/shop/r" {
			t.Errorf("recorded %s", got)
		}
		to.set(events.ErrTooLarge, false)
		s.allowed(t, review("bob", "CREATE", "httproutes", "", object("", 1)))
		synctest.Wait()
		if got := s.droppedFor(reasonLog); got != 1 {
			t.Errorf("%d are dropped", got)
		}
		to.set(nil, true)
		s.allowed(t, review("carol", "CREATE", "httproutes", "", object("", 1)))
		synctest.Wait()
		to.set(nil, false) // back just when all ends
		s.allowed(t, review("dave", "CREATE", "httproutes", "", object("", 1)))
		cancel()
		recording.Wait()
		if got := to.seen(t); !strings.HasSuffix(got, "dave CREATE httproutes/shop/r") {
			t.Errorf("what waited at the end is lost: %s", got)
		}
	})
}

// What is recorded of an object, by whichever way it came, has the content that was seen.
func TestContentIsThatOfWhatIsRecorded(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := keypair.NewSealer(identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	cert, key := gwtest.Certificate(t, "a.example")
	secret := fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"shop","uid":"u","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"x"}},"type":"kubernetes.io/tls","data":{"tls.crt":%q,"tls.key":%q,"password":"eA=="}}`,
		base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key))
	r := Reviewer{Cluster: "c", Now: time.Now}
	var request admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(review("alice", "CREATE", "secrets", "", secret)), &request); err != nil {
		t.Fatal(err)
	}
	e, err := r.Event(request.Request)
	if err != nil {
		t.Fatal(err)
	}
	var seen events.ActorObserved
	if err := json.Unmarshal(e.Data, &seen); err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(secret), &o); err != nil {
		t.Fatal(err)
	}
	recorded, err := sealer.Secret(o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(recorded)
	if err == nil {
		o = nil
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want, err := events.Content(o); err != nil || seen.Content != fmt.Sprintf("%x", want) || len(recorded.KeyPair.SealedKey) == 0 {
		t.Errorf("content %s, recorded %x: %v", seen.Content, want, err)
	}
	if strings.Contains(string(e.Data), "eA==") || strings.Contains(string(e.Data), "tls") {
		t.Errorf("recorded %s", e.Data)
	}
}

func FuzzReview(f *testing.F) {
	f.Add(review("alice", "UPDATE", "httproutes", object("5", 1), object("5", 2)))
	f.Add(review("alice", "DELETE", "secrets", `{"kind":"Secret","metadata":{"name":"s","uid":"u"},"data":{"tls.crt":"eA=="}}`, ""))
	f.Fuzz(func(t *testing.T, body string) {
		s := newServer(t, &publisher{})
		code, answer := s.ask(t, body)
		var review admissionv1.AdmissionReview
		if code == http.StatusOK && (json.Unmarshal([]byte(answer), &review) != nil || !review.Response.Allowed) {
			t.Errorf("answered %s", answer)
		}
	})
}
