// Look is run in containers by tests: it tells what it sees, and does as it is told.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "around":
		around()
	case "write":
		if err := os.WriteFile(os.Args[2], []byte("x"), 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "wait":
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		fmt.Println("waiting")
		<-terminated
		fmt.Println("terminated")
	case "hang":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("hanging")
		_, _ = io.Copy(io.Discard, os.Stdin)
		for { // with nothing to wait for, Go would end the program by itself
			time.Sleep(time.Hour)
		}
	}
}

func around() {
	groups, _ := os.Getgroups()
	hostname, _ := os.Hostname()
	dir, _ := os.Getwd()
	root, _ := filepath.Glob("/*")
	status, _ := os.ReadFile("/proc/self/status")
	seen := map[string]any{
		"args": os.Args, "env": os.Environ(), "uid": os.Getuid(), "gid": os.Getgid(), "groups": groups,
		"hostname": hostname, "dir": dir, "root": root, "pid": os.Getpid(),
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if name, value, _ := strings.Cut(line, ":"); name == "CapEff" || name == "CapBnd" || name == "NoNewPrivs" {
			seen[name] = strings.TrimSpace(value)
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(seen)
}
