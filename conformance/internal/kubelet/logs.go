package kubelet

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// timeFormat is how each line of a log begins.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// logPath is the file of what one start of a container printed.
func (k *Kubelet) logPath(pod *corev1.Pod, container string, restarts int32) string {
	return filepath.Join(k.cfg.Logs, fmt.Sprintf("%s_%s_%s_%d.log", pod.Namespace, pod.Name, container, restarts))
}

// logFile takes what a container prints, and stores it line by line with the time.
// Both of its streams go to it.
type logFile struct {
	now func() time.Time

	mu      sync.Mutex
	file    *os.File
	partial []byte
	tail    []byte // the last lines, for a termination message
	closed  bool
	grown   chan struct{} // closed and replaced when there is more, or the end
}

// maxTail is how much of its log a container's termination message may contain.
const maxTail = 2 << 10

func newLogFile(path string, now func() time.Time) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &logFile{now: now, file: file, grown: make(chan struct{})}, nil
}

// Write takes output of the program in pieces of any size.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	end := bytes.LastIndexByte(l.partial, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	if err := l.store(l.partial[:end]); err != nil {
		return 0, err
	}
	l.partial = append(l.partial[:0], l.partial[end:]...)
	return len(p), nil
}

// store writes whole lines.
func (l *logFile) store(text []byte) error {
	stamp := l.now().UTC().Format(timeFormat)
	var stamped bytes.Buffer
	for line := range bytes.Lines(text) {
		fmt.Fprintf(&stamped, "%s %s", stamp, line)
	}
	l.tail = append(l.tail, text...)
	l.tail = l.tail[max(0, len(l.tail)-maxTail):]
	close(l.grown)
	l.grown = make(chan struct{})
	_, err := l.file.Write(stamped.Bytes())
	return err
}

// more is closed when there is more to read than before, and whether this was the end.
func (l *logFile) more() (grown <-chan struct{}, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grown, l.closed
}

// lastLines are the end of what was printed.
func (l *logFile) lastLines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}

// Close stores a last line that has no end.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var err error
	if len(l.partial) > 0 {
		err = l.store(append(l.partial, '\n'))
	} else {
		close(l.grown)
		l.grown = make(chan struct{})
	}
	if closing := l.file.Close(); err == nil {
		err = closing
	}
	return err
}

var _ io.WriteCloser = (*logFile)(nil)
