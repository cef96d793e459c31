// Package sse reads server-sent events, with bounds.
package sse

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxEventBytes is 128 MiB: more than a result of 16 MiB in which every byte is escaped.
const MaxEventBytes = 128 << 20

// pieceBytes is 32 KiB: as much as is read at a time.
const pieceBytes = 32 << 10

// Event is one event of a stream.
type Event struct {
	// ID is the id that came with this event; empty without one.
	ID   string
	Type string
	Data []byte
}

// Reader reads the events of one stream. It is not safe for concurrent use.
type Reader struct {
	source io.Reader
	max    int
	piece  []byte
	rest   []byte
	line   []byte
	// skipsLF is true behind a CR, which ends a line also without an LF.
	skipsLF bool
	started bool
	event   Event
	hasData bool
	size    int
}

// NewReader reads events of at most maxBytes; 0 stands for MaxEventBytes.
func NewReader(source io.Reader, maxBytes int) *Reader {
	if maxBytes <= 0 {
		maxBytes = MaxEventBytes
	}
	return &Reader{source: source, max: maxBytes, piece: make([]byte, pieceBytes)}
}

// Next is the next event with data. At the end of the stream it returns io.EOF; an event without
// an empty line behind it is left out.
func (r *Reader) Next() (Event, error) {
	for {
		line, err := r.nextLine()
		if err != nil {
			return Event{}, err
		}
		if len(line) > 0 {
			r.field(line)
			continue
		}
		event, hasData := r.event, r.hasData
		r.event, r.hasData, r.size = Event{}, false, 0
		if hasData {
			return event, nil
		}
	}
}

// nextLine is valid until the next call.
func (r *Reader) nextLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		if r.skipsLF && len(r.rest) > 0 {
			r.skipsLF = false
			r.rest = bytes.TrimPrefix(r.rest, []byte("\n"))
		}
		if at := bytes.IndexAny(r.rest, "\r\n"); at >= 0 {
			r.skipsLF = r.rest[at] == '\r'
			r.line = append(r.line, r.rest[:at]...)
			r.rest = r.rest[at+1:]
			return r.withoutMark(), r.check()
		}
		r.line = append(r.line, r.rest...)
		if err := r.check(); err != nil {
			return nil, err
		}
		count, err := r.source.Read(r.piece)
		r.rest = r.piece[:count]
		if count == 0 && err != nil {
			return nil, err
		}
	}
}

func (r *Reader) check() error {
	if r.size+len(r.line) > r.max {
		return fmt.Errorf("expected events of at most %d bytes; got a longer one", r.max)
	}
	return nil
}

// withoutMark takes a byte order mark off the first line.
func (r *Reader) withoutMark() []byte {
	if r.started {
		return r.line
	}
	r.started = true
	return bytes.TrimPrefix(r.line, utf8.AppendRune(nil, '\ufeff'))
}

// field notes one field. Comments, unknown fields and retry times change nothing.
func (r *Reader) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		r.event.Type = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.event.ID = string(value)
		}
	case "data":
		if r.hasData {
			r.event.Data = append(r.event.Data, '\n')
		}
		r.hasData = true
		r.event.Data = append(r.event.Data, value...)
		r.size = len(r.event.Data)
	}
}
