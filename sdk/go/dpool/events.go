package dpool

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/sse"
)

// The types of events. A stream leaves out those that this version does not know.
const (
	Queued   = "queued"
	Placed   = "placed"
	Stdout   = "stdout"
	Stderr   = "stderr"
	Progress = "progress"
	Gap      = "gap"
	Result   = "result"
	Failed   = "failed"
)

// Event is one event of a child's stream: Queued while its call waits, Placed before all output,
// and one terminal event, Result or Failed, at the end.
type Event struct {
	// ID is its number in the child's log, from 1 on; 0 for Queued.
	ID int64
	// Type says which of the other fields it has.
	Type string
	// Position is that in the queue, of Queued.
	Position int64
	// Child is the child, of Placed.
	Child *api.ChildReference
	// Data is the bytes of Stdout and Stderr.
	Data []byte
	// Done and Total are amounts in a unit of the child's own, of Progress. Total may be nil.
	Done  float64
	Total *float64
	// Message is one line for people, of Progress.
	Message string
	// DroppedBytes is the number of bytes that the reader missed, of Gap.
	DroppedBytes int64
	// Ending is that of the child, of Result and Failed.
	Ending *Ending
	// Err is the reason of Failed.
	Err *Error
	// Raw is the event as JSON, as it came.
	Raw json.RawMessage
}

// Ending is how a child ended.
type Ending struct {
	// Value is what a function returned, as JSON; nil for a command. See Value.
	Value json.RawMessage `json:"value"`
	// ExitCode is that of a command; nil for a function.
	ExitCode  *int32         `json:"exitCode"`
	Usage     *api.Usage     `json:"usage"`
	Artifacts []api.Artifact `json:"artifacts"`
}

// IsTerminal says whether the event ends its stream.
func (e Event) IsTerminal() bool { return e.Type == Result || e.Type == Failed }

// failure is the error of Failed, with what the child left.
func (e Event) failure() *Error {
	failure := e.Err.Copy()
	failure.ExitCode, failure.Usage = e.Ending.ExitCode, e.Ending.Usage
	failure.Artifacts = e.Ending.Artifacts
	return failure
}

// eventOf reads an event. It reports false for one that this version does not know.
func eventOf(frame sse.Event) (Event, bool, error) {
	var data struct {
		Type         string
		Position     int64
		Child        *api.ChildReference
		Text         *string
		Base64       []byte
		Done         float64
		Total        *float64
		Message      string
		DroppedBytes int64
		Problem      json.RawMessage
		Partial      bool
	}
	unexpected := func(err error) (Event, bool, error) {
		return Event{}, false, fmt.Errorf("expected an event of the contract; got %.200q (%v)",
			frame.Data, err)
	}
	var named struct{ Type string }
	if err := json.Unmarshal(frame.Data, &named); err != nil {
		return unexpected(err)
	}
	event := Event{Type: named.Type, Raw: frame.Data}
	switch event.Type {
	case Queued, Placed, Stdout, Stderr, Progress, Gap, Result, Failed:
	default:
		return event, false, nil
	}
	if err := json.Unmarshal(frame.Data, &data); err != nil {
		return unexpected(err)
	}
	event.ID, _ = strconv.ParseInt(frame.ID, 10, 64)
	event.Position, event.Child, event.DroppedBytes = data.Position, data.Child, data.DroppedBytes
	event.Done, event.Total, event.Message = data.Done, data.Total, data.Message
	event.Data = data.Base64
	if data.Text != nil {
		event.Data = []byte(*data.Text)
	}
	if event.Type == Placed && (event.Child == nil || event.Child.Id == "") {
		return unexpected(nil)
	}
	if !event.IsTerminal() {
		return event, true, nil
	}
	event.Ending = &Ending{}
	if err := json.Unmarshal(frame.Data, event.Ending); err != nil || data.Partial {
		return unexpected(err)
	}
	if event.Type == Failed {
		problem, ok := fault.Parse(data.Problem)
		if !ok {
			return unexpected(nil)
		}
		event.Err = problem
	}
	return event, true, nil
}

// readEvents gives the events up to and with the terminal one to emit, which returns false to
// stop. It reports whether the stream is over. A stream that is cut is member_lost.
func readEvents(body io.Reader, emit func(Event) (bool, error)) (isOver bool, err error) {
	reader := sse.NewReader(body, 0)
	admitted := fault.Unknown
	for {
		frame, err := reader.Next()
		var event Event
		var isKnown bool
		if err == nil {
			event, isKnown, err = eventOf(frame)
		}
		if err == io.EOF {
			return false, fault.New("member_lost", "the stream ended before its terminal event").
				With(admitted)
		}
		if err != nil {
			return false, fault.New("member_lost",
				"the stream was cut before its terminal event: %v", err).With(admitted).By(err)
		}
		// The events of a child have ids, and those of a wait have none.
		if frame.ID != "" {
			admitted = fault.Admitted
		}
		if !isKnown {
			continue
		}
		goesOn, err := emit(event)
		if err != nil {
			return false, err
		}
		if !goesOn || event.IsTerminal() {
			return true, nil
		}
	}
}
