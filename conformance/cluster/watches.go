package cluster

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Each Envoy watches files, and a program that may not watch any more ends. Machines
// allow a user 128 watchers by default, which is a cluster of some sixty Gateways.
const (
	watchersFile = "/proc/sys/fs/inotify/max_user_instances"
	watchers     = 1024
)

// allowWatches raises what the machine allows, where that is less. It stays so until the
// machine starts again: others may rely on it by the time this cluster ends.
func allowWatches() error {
	text, err := os.ReadFile(watchersFile)
	if err != nil {
		return fmt.Errorf("read how many watchers of files are allowed: %w", err)
	}
	allowed, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("read %s: %w", watchersFile, err)
	}
	if allowed >= watchers {
		return nil
	}
	if err := os.WriteFile(watchersFile, []byte(strconv.Itoa(watchers)), 0); err != nil {
		return fmt.Errorf("allow %d watchers of files: %w", watchers, err)
	}
	return nil
}
