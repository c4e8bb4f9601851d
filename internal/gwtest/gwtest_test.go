package gwtest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"testing"

	"golang.org/x/net/websocket"
)

func TestObjectsAreTheDocumentsInOrder(t *testing.T) {
	objects := Objects(t, `
kind: A
spec:
	number: 1
---
# nothing here
---
{"kind": "B"}
`)
	if len(objects) != 2 || objects[0]["kind"] != "A" || objects[1]["kind"] != "B" {
		t.Fatalf("got %v", objects)
	}
	if number := objects[0]["spec"].(map[string]any)["number"]; number != int64(1) {
		t.Errorf("got %T %v, want an int64", number, number)
	}
}

func TestCertificateIsValidForItsHosts(t *testing.T) {
	certPEM, keyPEM := Certificate(t, "www.example.com", "127.0.0.1")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	for host, valid := range map[string]bool{"www.example.com": true, "127.0.0.1": true, "example.com": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
		if (err == nil) != valid {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestBackendTellsWhatItWasAsked(t *testing.T) {
	backend := StartBackend(t, "one")
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	for proto, protocols := range map[string]*http.Protocols{"HTTP/1.1": http1, "HTTP/2.0": http2} {
		t.Run(proto, func(t *testing.T) {
			transport := &http.Transport{Protocols: protocols}
			defer transport.CloseIdleConnections()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+backend.Addr+"/a%2Fb?c=d", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "www.example.com"
			request.Header.Set("X-Test", "yes")
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var echo Echo
			if err := json.NewDecoder(response.Body).Decode(&echo); err != nil {
				t.Fatal(err)
			}
			if echo.Headers.Get("X-Test") != "yes" {
				t.Errorf("got headers %v", echo.Headers)
			}
			echo.Headers = nil
			want := Echo{Backend: "one", Proto: proto, Method: "DELETE", Host: "www.example.com", Path: "/a%2Fb?c=d"}
			if got, wanted := mustJSON(t, echo), mustJSON(t, want); got != wanted {
				t.Errorf("got %s, want %s", got, wanted)
			}
		})
	}
}

func TestBackendEchoesWebSocketMessages(t *testing.T) {
	backend := StartBackend(t, "one")
	ws, err := websocket.Dial("ws://"+backend.Addr+"/chat", "", "http://"+backend.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for _, message := range []string{"hello", "again"} {
		if err := websocket.Message.Send(ws, message); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := websocket.Message.Receive(ws, &got); err != nil || got != message {
			t.Fatalf("got %q, %v, want %q", got, err, message)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBackendEndsOpenWebSocketsWithItsTest(t *testing.T) {
	var ws *websocket.Conn
	t.Run("opens one", func(t *testing.T) {
		backend := StartBackend(t, "one")
		var err error
		if ws, err = websocket.Dial("ws://"+backend.Addr, "", "http://"+backend.Addr); err != nil {
			t.Fatal(err)
		}
	})
	defer ws.Close()
	var got string
	if err := websocket.Message.Receive(ws, &got); err == nil {
		t.Errorf("got %q from a backend that is gone", got)
	}
}
