package standalone

import "os"

// mostLog is how large a log of Envoy may become; then another one begins, and one of
// the past is kept. There is a line in it for every request.
const mostLog = 64 << 20

// envoyLog is what an Envoy prints. It is for one goroutine.
type envoyLog struct {
	path string
	file *os.File
	size int64
	most int64
}

func openLog(path string) (*envoyLog, error) {
	l := &envoyLog{path: path, most: mostLog}
	return l, l.open()
}

func (l *envoyLog) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return err
	}
	l.file, l.size = file, info.Size()
	return nil
}

// Write implements io.Writer.
func (l *envoyLog) Write(p []byte) (int, error) {
	if l.size > 0 && l.size+int64(len(p)) > l.most {
		if err := os.Rename(l.path, l.path+".old"); err != nil {
			return 0, err
		}
		_ = l.file.Close()
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

// Close closes the file.
func (l *envoyLog) Close() error { return l.file.Close() }
