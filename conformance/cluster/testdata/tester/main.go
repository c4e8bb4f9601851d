// Tester runs in the pods of tests: a server that tells what it sees, and does as it
// is told.
//
//	tester serve [PORT]      answers until SIGTERM
//	tester exit CODE         ends at once
//	tester touch FILE        makes a file, as a hook or an init container would
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "serve":
		port := "8080"
		if len(os.Args) > 2 {
			port = os.Args[2]
		}
		serve(port)
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		fmt.Println("ending with", code)
		os.Exit(code)
	case "touch":
		if err := os.WriteFile(os.Args[2], []byte("touched"), 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

func serve(port string) {
	var unready, unhealthy atomic.Bool
	answer := func(path string, say func(*http.Request) (string, error)) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			said, err := say(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprint(w, said)
		})
	}
	flag := func(path string, flag *atomic.Bool) {
		answer(path, func(*http.Request) (string, error) {
			if flag.Load() {
				return "", fmt.Errorf("not %s", path)
			}
			return "ok", nil
		})
		answer(path+"/off", func(*http.Request) (string, error) { flag.Store(true); return "", nil })
		answer(path+"/on", func(*http.Request) (string, error) { flag.Store(false); return "", nil })
	}
	flag("/ready", &unready)
	flag("/healthy", &unhealthy)
	answer("/env", func(r *http.Request) (string, error) { return os.Getenv(r.FormValue("name")), nil })
	answer("/args", func(*http.Request) (string, error) { return strings.Join(os.Args[1:], " "), nil })
	answer("/hostname", func(*http.Request) (string, error) { return os.Hostname() })
	answer("/id", func(*http.Request) (string, error) {
		groups, err := os.Getgroups()
		return fmt.Sprint(os.Getuid(), os.Getgid(), groups), err
	})
	answer("/file", func(r *http.Request) (string, error) {
		content, err := os.ReadFile(r.FormValue("path"))
		return string(content), err
	})
	answer("/write", func(r *http.Request) (string, error) {
		return "", os.WriteFile(r.FormValue("path"), []byte(r.FormValue("content")), 0o600)
	})
	answer("/say", func(r *http.Request) (string, error) { fmt.Println(r.FormValue("text")); return "", nil })
	answer("/resolve", func(r *http.Request) (string, error) {
		addresses, err := net.LookupHost(r.FormValue("name"))
		return strings.Join(addresses, " "), err
	})
	answer("/port", func(r *http.Request) (string, error) {
		_, found, err := net.LookupSRV(r.FormValue("port"), "tcp", r.FormValue("name"))
		if err != nil {
			return "", err
		}
		return fmt.Sprint(found[0].Target, found[0].Port), nil
	})
	answer("/get", func(r *http.Request) (string, error) {
		response, err := http.Get(r.FormValue("url"))
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	})

	server := &http.Server{Addr: ":" + port}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	fmt.Println("serving")
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			fmt.Println(err)
			os.Exit(1)
		}
	}()
	<-terminated
	fmt.Println("terminated; the hook has run:", exists("/scratch/hook"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(ctx)
	if os.Getenv("STUBBORN") != "" {
		select {}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
