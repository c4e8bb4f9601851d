package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// A message becomes a line without loss: each header ce-x is the attribute x, the
// content type is datacontenttype, and what else there is are extension attributes.
// Headers that are no attributes, as those of SNAPSHOTS, are lines "name: value" of
// the attribute headers. The payload is as it is in data, or in data_base64 where it
// is not one line of JSON.
const (
	attrType     = "type"
	attrStream   = "stream"
	attrSequence = "sequence"
	attrSubject  = "natssubject"
	attrID       = "messageid"
	attrKept     = "permanent"
	attrStored   = "stored"
	attrHeaders  = "headers"
	attrContent  = "datacontenttype"
	attrBucket   = "bucket"
	attrName     = "name"
	attrData     = "data"
	attrBase64   = "data_base64"

	eventPrefix   = "ce-"
	headerSpec    = "ce-specversion"
	headerContent = "content-type"
)

// ours are the attributes that are no headers of the message.
func ours(attribute string) bool {
	switch attribute {
	case attrStream, attrSequence, attrSubject, attrID, attrKept, attrStored, attrHeaders, attrContent, attrBucket, attrName, attrData, attrBase64:
		return true
	}
	return false
}

// attributeOf is the attribute that a header becomes; "" where it becomes none.
func attributeOf(header string) string {
	name, ok := strings.CutPrefix(header, eventPrefix)
	if !ok || name == "" || ours(name) || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return ""
	}
	return name
}

// appendMessage appends the line of a message.
func appendMessage(b []byte, stream, cluster string, m events.Message) []byte {
	b = append(b, '{')
	_, isEvent := m.Header[headerSpec]
	if !isEvent {
		b = appendEnvelope(b, typeMessage, stream+"/"+strconv.FormatUint(m.Sequence, 10), cluster)
	}
	var others []string
	for _, header := range slices.Sorted(maps.Keys(m.Header)) {
		switch attribute := attributeOf(header); {
		case header == headerContent:
			b = appendString(b, attrContent, m.Header[header])
		case attribute != "" && isEvent:
			b = appendString(b, attribute, m.Header[header])
		default:
			others = append(others, header+": "+m.Header[header])
		}
	}
	if len(others) > 0 {
		b = appendString(b, attrHeaders, strings.Join(others, "\n"))
	}
	b = appendString(b, attrStream, stream)
	b = appendString(b, attrSequence, strconv.FormatUint(m.Sequence, 10))
	b = appendString(b, attrSubject, m.Subject)
	if m.ID != "" {
		b = appendString(b, attrID, m.ID)
	}
	if m.Permanent {
		b = appendString(b, attrKept, "true")
	}
	b = appendString(b, attrStored, m.Stored.UTC().Format(time.RFC3339Nano))
	return appendData(b, m.Data)
}

// appendEnvelope appends what every CloudEvent has.
func appendEnvelope(b []byte, kind, id, source string) []byte {
	b = appendString(b, "specversion", "1.0")
	b = appendString(b, attrType, kind)
	b = appendString(b, "id", id)
	return appendString(b, "source", source)
}

func appendString(b []byte, name, value string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":`...)
	b, _ = jsontext.AppendQuote(b, value) // what is no UTF-8 is replaced, and nothing of ours is not
	return b
}

// appendData appends the payload, and ends the line.
func appendData(b, data []byte) []byte {
	switch {
	case len(data) == 0:
	case data[0] == '{' && data[len(data)-1] == '}' && !bytes.ContainsAny(data, "\n\r") && jsontext.Value(data).IsValid():
		b = append(b, `,"data":`...)
		b = append(b, data...)
	default:
		b = append(b, `,"data_base64":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, data), '"')
	}
	return append(b, "}\n"...)
}

// line is one line, read.
type line struct {
	kind string
	// stream and message are of a message, bucket and name of a checkpoint.
	stream, bucket, name string
	message              events.Message
	data                 []byte
}

var errNoLine = errors.New("it is no line of a bundle")

// parseLine undoes appendMessage.
func parseLine(text []byte) (*line, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	if d.PeekKind() != '{' {
		return nil, errNoLine
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	l := &line{message: events.Message{Header: map[string]string{}}}
	attributes := map[string]string{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		attribute := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if attribute == attrData {
			l.data = bytes.Clone(value)
			continue
		}
		if value.Kind() != '"' {
			return nil, fmt.Errorf("%w: %s is no text", errNoLine, attribute)
		}
		unquoted, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return nil, err
		}
		attributes[attribute] = string(unquoted)
	}
	return l, l.set(attributes)
}

func (l *line) set(attributes map[string]string) (err error) {
	l.kind = attributes[attrType]
	for attribute, value := range attributes {
		switch attribute {
		case attrStream:
			l.stream = value
		case attrSequence:
			l.message.Sequence, err = strconv.ParseUint(value, 10, 64)
		case attrSubject:
			l.message.Subject = value
		case attrID:
			l.message.ID = value
		case attrKept:
			l.message.Permanent = value == "true"
		case attrStored:
			l.message.Stored, err = time.Parse(time.RFC3339Nano, value)
		case attrContent:
			l.message.Header[headerContent] = value
		case attrBucket:
			l.bucket = value
		case attrName:
			l.name = value
		case attrBase64:
			l.data, err = base64.StdEncoding.DecodeString(value)
		case attrHeaders:
			for header := range strings.SplitSeq(value, "\n") {
				name, content, _ := strings.Cut(header, ": ")
				l.message.Header[name] = content
			}
		default:
			if l.kind != typeMessage {
				l.message.Header[eventPrefix+attribute] = value
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errNoLine, attribute, err)
		}
	}
	l.message.Data = l.data
	return nil
}
