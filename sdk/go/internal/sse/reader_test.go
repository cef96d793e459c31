package sse

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// pieces gives a text in pieces, cut at these places.
type pieces []string

func (p *pieces) Read(into []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	count := copy(into, (*p)[0])
	*p = (*p)[1:]
	return count, nil
}

func read(t *testing.T, source io.Reader, maxBytes int) (events []Event, err error) {
	t.Helper()
	reader := NewReader(source, maxBytes)
	for {
		event, err := reader.Next()
		if err == io.EOF {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}

func same(a, b Event) bool {
	return a.ID == b.ID && a.Type == b.Type && string(a.Data) == string(b.Data)
}

func TestEveryCutGivesTheSameEvents(t *testing.T) {
	text := "\ufeff: hello\r\nid: 1\revent: stdout\ndata: hé\r\ndata:  two\r\n\r\n" +
		"retry: 5\nevent: lost\n\nid:\ndata\n\n: end\n\ndata: cut"
	wanted := []Event{{"1", "stdout", []byte("hé\n two")}, {"", "", []byte("")}}
	for first := 1; first < len(text); first++ {
		for second := first; second < len(text); second++ {
			cut := pieces{text[:first], text[first:second], text[second:]}
			cut = slices.DeleteFunc(cut, func(piece string) bool { return piece == "" })
			events, err := read(t, &cut, 0)
			if err != nil || !slices.EqualFunc(events, wanted, same) {
				t.Fatalf("cut at %d and %d: expected %v; got %v, %v", first, second, wanted, events, err)
			}
		}
	}
}

func TestALineFeedBehindACutIsNotWaitedFor(t *testing.T) {
	source, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = writer.Write([]byte("data: 1\r\r")) }()
	event, err := NewReader(source, 0).Next()
	if err != nil || string(event.Data) != "1" {
		t.Fatalf("expected the event 1; got %q, %v", event.Data, err)
	}
}

func TestALongEventIsRefused(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, text := range []string{"data: " + long, strings.Repeat("data: aaaa\n", 50) + "\n"} {
		if _, err := read(t, strings.NewReader(text), 100); err == nil {
			t.Fatalf("expected an error for %d bytes", len(text))
		}
	}
	comments := strings.Repeat(": "+long[:50]+"\n", 100) + "data: 1\n\n"
	if events, err := read(t, strings.NewReader(comments), 100); err != nil || len(events) != 1 {
		t.Fatalf("expected one event behind many comments; got %v, %v", events, err)
	}
}
