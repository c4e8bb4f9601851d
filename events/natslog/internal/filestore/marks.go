package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// marksFile lies beside the server's own directory: a line of JSON and its SHA-256.
const marksFile = "marks.json"

// Mark is how far a stream had come when its owner last looked.
type Mark struct {
	// Created is the stream's time of creation: a stream that was made anew is another.
	Created time.Time `json:"created"`
	// First and FirstTime are of its oldest message, Last is its last sequence.
	First     uint64    `json:"first"`
	FirstTime time.Time `json:"firstTime"`
	Last      uint64    `json:"last"`
}

// WriteMarks replaces the marks of a data directory, durably.
func WriteMarks(dir string, marks map[string]Mark) error {
	line, err := json.Marshal(marks)
	if err != nil {
		return fmt.Errorf("encode marks: %w", err)
	}
	sum := sha256.Sum256(line)
	data := append(append(line, '\n'), hex.EncodeToString(sum[:])...)
	f, err := os.CreateTemp(dir, marksFile+".*")
	if err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, marksFile))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
		return fmt.Errorf("write marks: %w", err)
	}
	return nil
}

// readMarks is what WriteMarks wrote; nothing where there is no file.
func readMarks(dir string) (map[string]Mark, error) {
	data, err := os.ReadFile(filepath.Join(dir, marksFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	line, sum, _ := bytes.Cut(data, []byte("\n"))
	if want := sha256.Sum256(line); hex.EncodeToString(want[:]) != string(sum) {
		return nil, fmt.Errorf("%s does not match its checksum: remove it if nothing else is damaged; it only says how far each stream had come", marksFile)
	}
	var marks map[string]Mark
	if err := json.Unmarshal(line, &marks); err != nil {
		return nil, fmt.Errorf("%s: %w", marksFile, err)
	}
	return marks, nil
}

// ForgetMarks forgets how far the streams had come.
func ForgetMarks(dir string) error {
	if err := os.Remove(filepath.Join(dir, marksFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget marks: %w", err)
	}
	return nil
}
