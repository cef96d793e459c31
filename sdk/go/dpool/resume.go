package dpool

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"distributed-pool/sdk/go/internal/access"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
	"distributed-pool/sdk/go/internal/wire"
)

const (
	// resumeTries is 6: after a cut, a child counts as lost once its stream could not be reopened so
	// often in a row.
	resumeTries = 6
	// resumePause is 100 ms before the first try, give or take a half; each further one is twice as
	// long.
	resumePause = 100 * time.Millisecond
	// heartbeat is 10 seconds: a stream that lived for longer had no bad start.
	heartbeat = 10 * time.Second
)

// stream is a child's events over cuts of the connection: none is lost, and none comes twice.
type stream struct {
	pools *Pools
	// id is that of the child; empty until it is placed.
	id string
	// after is the id of the last event that was read; 0 for none.
	after int64
	// own is the child's own member, as long as that answers, behind a gateway that left.
	own   *access.Server
	tries int
}

// read gives the events to emit, up to and with the terminal one. It closes the answers.
func (s *stream) read(ctx context.Context, answer *wire.Answer, emit func(Event) bool) error {
	for {
		openedAt := time.Now()
		isOver, cut := s.readOne(answer, emit)
		if isOver {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.id == "" {
			return cut
		}
		// A child may be silent for longer than any connection lasts.
		if time.Since(openedAt) > heartbeat {
			s.tries = 0
		}
		var err error
		onEnd := answer.OnEnd
		if answer, err = s.reopen(ctx, cut); err != nil {
			return whileAdmitted(err)
		}
		answer.OnEnd = onEnd
	}
}

// readOne reads one answer. An answer of 204 says that the last event was the terminal one.
func (s *stream) readOne(answer *wire.Answer, emit func(Event) bool) (bool, error) {
	defer answer.Finish()
	if answer.StatusCode == http.StatusNoContent {
		answer.TellEnd()
		return true, nil
	}
	return readEvents(answer.Body, func(event Event) (bool, error) {
		// A gateway that is about to leave ends its answer with an event that names the child.
		if event.Type == Failed && event.Err.Code == "draining" && event.Child != nil {
			s.id = event.Child.Id
			if own, ok := s.pools.access.Direct(*event.Child); ok {
				s.own = &own
			}
			return false, whileAdmitted(event.Err)
		}
		if event.Type == Placed {
			s.id = event.Child.Id
		}
		if event.Type == Failed && s.id != "" {
			event.Err = fault.Of(whileAdmitted(event.Err))
		}
		if event.ID > 0 {
			s.after = event.ID
		}
		s.tries = 0
		if event.IsTerminal() {
			answer.TellEnd()
		}
		return emit(event), nil
	})
}

// reopen opens the stream behind its last event. It fails with the cut once the tries are used up.
func (s *stream) reopen(ctx context.Context, cut error) (*wire.Answer, error) {
	for s.tries < resumeTries {
		pause := time.Duration(float64(resumePause<<s.tries) * (0.5 + rand.Float64()))
		s.tries++
		if err := placement.Pause(ctx, pause); err != nil {
			return nil, err
		}
		answer, err := s.open(ctx)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		// Behind the same URL, another gateway may answer.
		failure := fault.Of(err)
		if failure != nil && !failure.Retryable() && failure.Code != "draining" {
			return nil, err
		}
		// A member whose port is closed took its children along.
		if s.pools.access.AsksOwners() && wire.NeverSent(err) {
			return nil, cut
		}
	}
	return nil, cut
}

// open asks for the events behind the last one that was read.
func (s *stream) open(ctx context.Context) (*wire.Answer, error) {
	if s.own != nil {
		answer, err := s.openAt(ctx, *s.own)
		if err == nil {
			return answer, nil
		}
		s.own = nil
	}
	server, err := s.pools.access.Child(ctx, s.id)
	if err != nil {
		return nil, err
	}
	return s.openAt(ctx, server)
}

func (s *stream) openAt(ctx context.Context, server access.Server) (*wire.Answer, error) {
	header := http.Header{}
	if s.after > 0 {
		header.Set("Last-Event-ID", strconv.FormatInt(s.after, 10))
	}
	answer, err := s.pools.client.Send(ctx, wire.Request{
		Method: "GET", URL: server.URL + "/children/" + s.id + "/events", Member: server.Member,
		Accept: wire.Events, Header: header, HeadTimeout: wire.AnswerTimeout,
	})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 400 {
		return nil, wire.Problem(answer)
	}
	return answer, nil
}

// whileAdmitted is the same error, of a child that has certainly been admitted. Only its stream is
// lost, or handed over by a gateway that drains; the call may not be sent again.
func whileAdmitted(err error) error {
	failure := fault.Of(err)
	if failure == nil {
		return err
	}
	isHandover := failure.Code == "draining" && failure.Admitted == fault.NotSaid
	if isHandover || failure.Code == "member_lost" {
		return failure.Copy().With(fault.Admitted)
	}
	return err
}
