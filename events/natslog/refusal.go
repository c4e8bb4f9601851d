package natslog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rutter-gateway/rutter/events"
)

// Error codes of JetStream that nats.go has no name for.
const (
	codeAccountFull        jetstream.ErrorCode = 10002
	codeServerFull         jetstream.ErrorCode = 10023
	codeStorageFull        jetstream.ErrorCode = 10047
	codeStoreFailed        jetstream.ErrorCode = 10077
	codeWrongLastInFlight  jetstream.ErrorCode = 10164
	codeBatchIncomplete    jetstream.ErrorCode = 10176
	codeBatchTooManyOpen   jetstream.ErrorCode = 10210
	codeBatchesTooManyOpen jetstream.ErrorCode = 10211
)

// refusal is the lasting answer that err holds: an error of package events, or
// the server's own words. It is nil when err leaves open whether, or when, the
// message is stored.
func refusal(err error) error {
	var api *jetstream.APIError
	if errors.Is(err, nats.ErrMaxPayload) {
		return events.ErrTooLarge
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		return events.ErrClosed
	}
	if !errors.As(err, &api) {
		return nil
	}
	switch api.ErrorCode {
	case codeAccountFull, codeServerFull, codeStorageFull:
		return fmt.Errorf("%w: %s", events.ErrFull, api.Description)
	case codeStoreFailed:
		if strings.Contains(api.Description, "maximum") || strings.Contains(api.Description, "no space left") {
			return fmt.Errorf("%w: %s", events.ErrFull, api.Description)
		}
		return err
	case jetstream.JSErrCodeStreamWrongLastSequence, codeWrongLastInFlight,
		codeBatchIncomplete, codeBatchTooManyOpen, codeBatchesTooManyOpen:
		return nil
	}
	if api.Code == 503 { // no leader, no quorum: it may come
		return nil
	}
	return err
}

// translate gives what was not found, or closed, the names of package events.
func translate(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrObjectNotFound):
		return events.ErrNotFound
	case errors.Is(err, nats.ErrConnectionClosed):
		return events.ErrClosed
	}
	return err
}
