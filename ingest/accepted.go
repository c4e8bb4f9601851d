package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

// acceptedName is where, beside the indexes, it is kept which documents this build
// has accepted. It only saves work: nothing depends on its being there.
const acceptedName = "accepted"

// accepted are the documents that need not be validated again.
type accepted struct {
	logger *slog.Logger
	// build is the digest of this program: another one may have other schemas or
	// defaults, and validates everything anew. Empty: not known, nothing is kept.
	build string
	// documents are those that were accepted before; the source takes them over.
	documents []manifests.Accepted
	stored    routing.Digest // of what is stored
}

type storedAccepted struct {
	Build     string               `json:"build"`
	Documents []manifests.Accepted `json:"documents"`
}

func loadAccepted(ctx context.Context, bucket events.Bucket, logger *slog.Logger) *accepted {
	a := &accepted{logger: logger}
	var stored storedAccepted
	build, err := digestOfThisProgram()
	if err == nil {
		a.build = build
		stored, err = readAccepted(ctx, bucket)
	}
	switch {
	case err != nil:
		logger.Warn("all manifests are validated anew", "error", err)
	case stored.Build == a.build:
		a.documents = stored.Documents
	}
	return a
}

// take hands the documents over.
func (a *accepted) take() []manifests.Accepted {
	documents := a.documents
	a.documents = nil
	return documents
}

func readAccepted(ctx context.Context, bucket events.Bucket) (storedAccepted, error) {
	var stored storedAccepted
	data, err := bucket.Get(ctx, acceptedName)
	if errors.Is(err, events.ErrNotFound) {
		return stored, nil
	}
	if err == nil {
		encoding, body, _ := strings.Cut(string(data), "\n")
		err = routing.Unmarshal([]byte(body), encoding, &stored)
	}
	if err != nil {
		return stored, fmt.Errorf("read accepted documents: %w", err)
	}
	return stored, nil
}

// save stores the documents if they have changed.
func (a *accepted) save(ctx context.Context, bucket events.Bucket, documents []manifests.Accepted) {
	if a.build == "" {
		return
	}
	data, encoding, err := routing.Marshal(storedAccepted{Build: a.build, Documents: documents})
	digest := routing.DigestOf(data)
	if err == nil && digest == a.stored {
		return
	}
	if err == nil {
		err = bucket.Put(ctx, acceptedName, append([]byte(encoding+"\n"), data...))
	}
	if err != nil {
		a.logger.Warn("accepted documents were not stored", "error", err)
		return
	}
	a.stored = digest
}

func digestOfThisProgram() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	program, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	defer program.Close()
	h := sha256.New()
	if _, err := io.Copy(h, program); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
