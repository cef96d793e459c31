package dpool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
	"distributed-pool/sdk/go/internal/wire"
)

const (
	// maxDeadline is a week; the member refuses a longer one.
	maxDeadline = 7 * 24 * time.Hour
	// late is 30 seconds: so long after its deadline, a call without a terminal event is lost.
	late = 30 * time.Second
)

// Stream makes a call and yields its events. A child that fails ends the stream with Failed, and
// with no error; an error says that the call was not placed, or that its stream was lost, and is
// the last of the stream. Leaving the loop closes the connection. The child lives on, unless it is
// linked, or its Stdin has not ended. A cancelled context ends the stream with the cause of the
// context.
//
//	for event, err := range pools.Stream(ctx, "pipeline", dpool.Command("date")) {
//		if err != nil {
//			return err
//		}
//		if event.Type == dpool.Stdout {
//			os.Stdout.Write(event.Data)
//		}
//	}
func (p *Pools) Stream(ctx context.Context, pool string, spec Spec) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		isLeft := false
		err := p.stream(ctx, pool, spec, func(event Event) bool {
			isLeft = !yield(event, nil)
			return !isLeft
		})
		if err != nil && !isLeft {
			yield(Event{}, err)
		}
	}
}

// stream gives the events of a call to emit, which returns false to leave. Every error but that of
// the context is an *Error.
func (p *Pools) stream(
	caller context.Context, pool string, spec Spec, emit func(Event) bool,
) error {
	request, err := requestOf(spec, false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	limit := min(maxDeadline, max(0, spec.Deadline))
	if limit == 0 {
		limit = maxDeadline
	}
	lost := fault.New("member_lost", "no terminal event came in %v after the deadline", late).
		With(fault.Unknown)
	timer := time.AfterFunc(limit+late, func() { cancel(lost) })
	defer timer.Stop()
	call := &call{pools: p, request: request, cancel: cancel, tries: retriesOf(spec), emit: emit}
	for {
		err := call.try(ctx, pool)
		if err == nil || call.isPlaced {
			return whileAdmitted(err)
		}
		if err := call.tries.pauseAfter(ctx, err); err != nil {
			return err
		}
	}
}

// call is one call, over all its tries.
type call struct {
	pools    *Pools
	request  *request
	cancel   context.CancelCauseFunc
	tries    *retries
	emit     func(Event) bool
	isPlaced bool
}

// try is one try to be placed and, once it is, the events of the child.
func (c *call) try(ctx context.Context, pool string) error {
	answer, err := c.place(ctx, pool)
	if err != nil || answer == nil {
		return err
	}
	stream := &stream{pools: c.pools}
	var refused error
	err = stream.read(ctx, answer, func(event Event) bool {
		if event.Type == Failed && !c.isPlaced {
			if c.tries.allow(event.Err) {
				refused = event.Err
				return false
			}
			event.Err = fault.Of(c.tries.known(event.Err))
		}
		if event.Type == Placed && !c.isPlaced {
			c.isPlaced = true
			if c.request.input != nil {
				go c.sendInput(ctx, event.Child.Id)
			}
		}
		return c.emit(event)
	})
	if refused != nil {
		return refused
	}
	return err
}

// place is placed, and emits the positions in the queue meanwhile. A nil answer: emit left.
func (c *call) place(ctx context.Context, pool string) (*wire.Answer, error) {
	positions := make(chan int, 1)
	type placed struct {
		answer *wire.Answer
		err    error
	}
	done := make(chan placed, 1)
	go func() {
		answer, err := c.pools.access.Place(ctx, placement.Try{
			Pool: pool, Path: "call", Accept: wire.Events,
			Spec: c.tries.spec(c.request.spec), Parts: c.request.parts,
			// A position that was not read is replaced by the next one.
			OnPosition: func(position int) {
				select {
				case <-positions:
				default:
				}
				positions <- position
			},
		})
		done <- placed{answer, err}
	}()
	for {
		select {
		case got := <-done:
			return got.answer, got.err
		case position := <-positions:
			raw := json.RawMessage(fmt.Sprintf(`{"type":"queued","position":%d}`, position))
			if !c.emit(Event{Type: Queued, Position: int64(position), Raw: raw}) {
				c.cancel(nil)
				<-done
				return nil, nil
			}
		}
	}
}

// sendInput sends the input to the child. An input that fails ends the call, and stops the child.
func (c *call) sendInput(ctx context.Context, id string) {
	broken := func(err error) {
		c.cancel(fault.New("cancelled",
			"Stdin: %v; a child cannot go on without the rest of its input", err).By(err))
	}
	child := c.pools.Child(id)
	_, err := child.write(ctx, &watchedInput{c.request.input, broken}, true)
	if err == nil || CodeOf(err) == "stdin_closed" || context.Cause(ctx) == context.Canceled {
		return
	}
	broken(err)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), wire.AnswerTimeout)
	defer cancel()
	// A body that broke off has stopped the child already; a body that never began has not.
	_, _ = child.Stop(stop)
}

// watchedInput tells when its source fails.
type watchedInput struct {
	source io.Reader
	broken func(error)
}

func (w *watchedInput) Read(into []byte) (int, error) {
	count, err := w.source.Read(into)
	if err != nil && err != io.EOF {
		w.broken(err)
	}
	return count, err
}
