package kubelet

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// logOptions is what was asked for.
type logOptions struct {
	follow, previous, timestamps bool
	since                        time.Time // zero is all
	tail, limit                  int64     // -1 is all
}

func parseLogOptions(query url.Values, now time.Time) (logOptions, error) {
	options := logOptions{
		follow:     query.Get("follow") == "true",
		previous:   query.Get("previous") == "true",
		timestamps: query.Get("timestamps") == "true",
		tail:       -1,
		limit:      -1,
	}
	for name, target := range map[string]*int64{"tailLines": &options.tail, "limitBytes": &options.limit} {
		if text := query.Get(name); text != "" {
			number, err := strconv.ParseInt(text, 10, 64)
			if err != nil || number < 0 {
				return options, fmt.Errorf("%s %q is no number", name, text)
			}
			*target = number
		}
	}
	if text := query.Get("sinceSeconds"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return options, fmt.Errorf("sinceSeconds %q is no number", text)
		}
		options.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if text := query.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return options, fmt.Errorf("sinceTime: %w", err)
		}
		options.since = since
	}
	return options, nil
}

// logs answers with the log of a container, from the API server's query parameters.
func (s *server) logs(response http.ResponseWriter, request *http.Request) {
	options, err := parseLogOptions(request.URL.Query(), time.Now())
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	container, err := s.find(request.PathValue("namespace"), request.PathValue("pod"), request.PathValue("container"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	restarts := container.states.get(container.spec.Name).restarts
	if options.previous {
		restarts--
	}
	file, err := os.Open(s.kubelet.logPath(container.pod, container.spec.Name, restarts))
	if err != nil {
		http.Error(response, "there is no such log", http.StatusBadRequest)
		return
	}
	defer file.Close()
	_, log := container.current()
	if options.previous || !options.follow {
		log = nil
	}
	response.Header().Set("Content-Type", "text/plain")
	response.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(response)
	// The client is gone, or wants no more: there is nobody to tell of an error.
	_ = copyLog(response, flusher.Flush, file, log, options, request.Context().Done())
}

// copyLog writes those lines that were asked for. With log not nil it goes on until the
// log is closed.
func copyLog(to io.Writer, flush func() error, file io.Reader, log *logFile, options logOptions, gone <-chan struct{}) error {
	reader := bufio.NewReader(file)
	limited := &limitedWriter{to: to, rest: options.limit}
	lines, err := readLines(reader, options)
	if err != nil {
		return err
	}
	if options.tail >= 0 && int64(len(lines)) > options.tail {
		lines = lines[int64(len(lines))-options.tail:]
	}
	for {
		for _, line := range lines {
			if _, err := limited.Write(line); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || log == nil {
			return err
		}
		grown, ended := log.more()
		// What was written before more was called is read now, whatever comes next.
		if lines, err = readLines(reader, options); err != nil {
			return err
		}
		if len(lines) > 0 {
			continue
		}
		if ended {
			return nil
		}
		select {
		case <-grown:
		case <-gone:
			return nil
		}
	}
}

// readLines reads what there is, and returns the lines that are late enough, without
// their time unless it was asked for.
func readLines(reader *bufio.Reader, options logOptions) ([][]byte, error) {
	var lines [][]byte
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF {
			return lines, nil // lines are stored whole
		}
		if err != nil {
			return nil, err
		}
		stamp, text, _ := bytes.Cut(line, []byte(" "))
		if at, err := time.Parse(timeFormat, string(stamp)); err == nil && at.Before(options.since) {
			continue
		}
		if options.timestamps {
			text = line
		}
		lines = append(lines, text)
	}
}

// limitedWriter ends with io.EOF when it has written all that it may.
type limitedWriter struct {
	to   io.Writer
	rest int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.rest >= 0 {
		if l.rest == 0 {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), l.rest)]
		l.rest -= int64(len(p))
	}
	return l.to.Write(p)
}
