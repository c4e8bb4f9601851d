// Package disk keeps what a server serves in a file, for the day on which it
// starts and the log is gone (invariant 9).
//
//	Copy ──Save──► <dir>/copy.rutter ──Load──► Copy
//
// The file is one line of header and the bytes:
//
//	rutter-copy <format> <encoding or "-"> <SHA-256 of the bytes in hex>
//	<routing.Marshal of Copy>
//
// The package promises: a file is replaced whole or not at all, also in a power
// cut; what is loaded is what was saved, or [ErrDamaged]. Private keys are in it
// as they are in the log: sealed.
package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
)

// ErrDamaged is returned for a file that is not what was saved, or that another
// release wrote. The text names the file and the way out.
var ErrDamaged = errors.New("the local copy cannot be used")

// FormatVersion is the version of the file that this build reads and writes.
const FormatVersion = "1"

const (
	fileName = "copy.rutter"
	magic    = "rutter-copy"
)

// Copy is all that a server needs to serve.
type Copy struct {
	// Routing is a whole version.
	Routing *routing.Snapshot `json:"routing"`
	// Slices are the EndpointSlices, complete as of Position.
	Slices   []endpoints.Slice `json:"slices"`
	Position Position          `json:"position"`
}

// Position is the last message of ENDPOINTS that is in a copy.
type Position struct {
	Incarnation string `json:"incarnation"`
	Sequence    uint64 `json:"sequence"`
}

// Save replaces the copy in dir, which must exist.
func Save(dir string, c *Copy) error {
	if err := save(dir, c); err != nil {
		return fmt.Errorf("save local copy in %s: %w", dir, err)
	}
	return nil
}

func save(dir string, c *Copy) error {
	data, encoding, err := routing.Marshal(c)
	if err != nil {
		return err
	}
	if encoding == "" {
		encoding = "-"
	}
	path := filepath.Join(dir, fileName)
	// What a crash leaves under this name is overwritten the next time.
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	_, err = fmt.Fprintf(f, "%s %s %s %s\n", magic, FormatVersion, encoding, hex.EncodeToString(sum[:]))
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load is the copy that was saved last; nil when there is none.
func Load(dir string) (*Copy, error) {
	path := filepath.Join(dir, fileName)
	file, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load local copy: %w", err)
	}
	c, err := decode(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; delete the file, and a new one is written from the log", ErrDamaged, path, err)
	}
	return c, nil
}

func decode(file []byte) (*Copy, error) {
	header, data, _ := bytes.Cut(file, []byte("\n"))
	fields := bytes.Fields(header)
	if len(fields) != 4 || string(fields[0]) != magic {
		return nil, errors.New("it does not begin with the header of a copy")
	}
	if v := string(fields[1]); v != FormatVersion {
		return nil, fmt.Errorf("it has format %s, this build reads %s", v, FormatVersion)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != string(fields[3]) {
		return nil, errors.New("its digest does not match its content")
	}
	encoding := string(fields[2])
	if encoding == "-" {
		encoding = ""
	}
	c := &Copy{}
	if err := routing.Unmarshal(data, encoding, c); err != nil {
		return nil, err
	}
	if c.Routing == nil {
		return nil, errors.New("it holds no routing")
	}
	return c, nil
}
