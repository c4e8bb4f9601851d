package traffic

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestCountsAnswersByStatusAndWhatIsNoAnswer(t *testing.T) {
	var asked atomic.Int64
	enough := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "a.example.com" {
			t.Errorf("asked for %q", r.Host)
		}
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			panic(http.ErrAbortHandler) // the connection ends without an answer
		case 10:
			close(enough)
		}
	}))
	defer server.Close()
	traffic, err := Start(t.Context(), Config{URL: server.URL, Host: "a.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	<-enough
	tally := traffic.Stop()
	if tally.Answers[500] != 1 || tally.Answers[200] < 7 || tally.Errors != 1 {
		t.Errorf("%s", tally)
	}
	if tally.Only(200, 500) == nil {
		t.Errorf("%s is called flawless", tally)
	}
	if again := traffic.Take(); len(again.Answers) != 0 || again.Only(200) == nil {
		t.Errorf("counted twice: %s", again)
	}
}
