package placement

import (
	"context"
	"slices"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

const (
	// askAllUpTo is 20 members: in a pool of so many, all are asked at once.
	askAllUpTo = 20
	// sampleSize is 5 members of a larger pool in the first sample; each further one is 4 times
	// larger.
	sampleSize = 5
	growth     = 4
	// passes is 3 over the members, because slots come free and are taken during one pass.
	passes = 3
	// knownTries is 3 members that are known at most refuse a caller, before it asks.
	knownTries = 3
	// probeTimeout is 250 ms for a member to tell its load; patientTimeout is 2 seconds for a slow
	// member, when no other one admits.
	probeTimeout   = 250 * time.Millisecond
	patientTimeout = 2 * time.Second
)

// Admission is the outcome of one try: an Answer, or Full, or Unreachable.
type Admission struct {
	Answer *wire.Answer
	// Load is what the answer told.
	Load *api.Load
	// Full: the member is at capacity; or Closed says why it admits nothing, such as a drain.
	Full   bool
	Closed error
	// Unreachable: the request did not reach the member, or was refused; nothing was run.
	Unreachable error
}

// search is one caller's tries to be admitted: at members that it knows, then at those that it
// asks.
type search struct {
	pool    string
	members []*Member
	known   *knownLoads
	mayTry  func(*Member) bool
	probe   probe
	// admit fails only when the member may have admitted the child.
	admit func(context.Context, *Member) (Admission, error)

	full      int
	closed    error
	lastError error
	slow      []*Member
	// busy is the best member that is known, where asking others is likely to pay.
	busy *probed
}

// place finds the least loaded of the members that admits. With isThorough it looks again for
// slots that came free meanwhile.
func (s *search) place(ctx context.Context, isThorough bool) (*wire.Answer, error) {
	if answer, err := s.tryKnown(ctx); answer != nil || err != nil {
		return answer, err
	}
	count := 1
	if isThorough {
		count = passes
	}
	for pass := range count {
		if pass > 0 {
			// A known member that refused just now has answered.
			s.full = 0
		}
		answer, err := s.pass(ctx, pass == 0)
		if answer != nil || err != nil {
			return answer, err
		}
		// A slow member is not lost. When no other one admits, it gets a longer wait, once.
		if pass == 0 && len(s.slow) > 0 {
			answer, err := s.tryEach(ctx, s.slow, patientTimeout, false)
			if answer != nil || err != nil {
				return answer, err
			}
		}
		if s.full == 0 {
			return nil, fault.New("no_members_available", "pool %s: none of its %d members answers: %v",
				s.pool, len(s.members), s.lastError).By(s.lastError)
		}
	}
	if s.closed != nil {
		return nil, fault.New("all_members_at_capacity", "pool %s: none of %d members admits: %v",
			s.pool, len(s.members), s.closed).By(s.closed)
	}
	return nil, fault.New("all_members_at_capacity", "pool %s: all %d members are at capacity",
		s.pool, len(s.members))
}

// pass asks growing samples of the members. The first pass leaves no member out.
func (s *search) pass(ctx context.Context, isFirst bool) (*wire.Answer, error) {
	enough := len(s.members)
	size := len(s.members)
	if size > askAllUpTo {
		size = sampleSize
	}
	if !isFirst {
		enough = min(enough, askAllUpTo)
	}
	var well, sick []*Member
	for _, member := range shuffled(s.members) {
		if s.mayTry(member) {
			well = append(well, member)
		} else {
			sick = append(sick, member)
		}
	}
	asked := 0
	for _, group := range [][]*Member{well, sick} {
		for count := size; len(group) > 0 && asked < enough; count *= growth {
			batch := group[:min(count, len(group))]
			group = group[len(batch):]
			answer, err := s.tryEach(ctx, batch, probeTimeout, true)
			if answer != nil || err != nil {
				return answer, err
			}
			asked += len(batch)
		}
	}
	return nil, nil
}

// tryKnown tries members that are known. It asks none of them, or two whose loads are old.
func (s *search) tryKnown(ctx context.Context) (*wire.Answer, error) {
	var tried []*Member
	mayTry := func(member *Member) bool {
		return !slices.Contains(tried, member) && s.mayTry(member)
	}
	for len(tried) < knownTries {
		choice := s.known.choose(s.members, mayTry)
		if choice == nil {
			break
		}
		if choice.isBusy {
			s.busy = &choice.probed
			return nil, nil
		}
		tried = append(tried, choice.member)
		if answer, err := s.try(ctx, choice.member); answer != nil || err != nil {
			return answer, err
		}
	}
	older := s.known.older(s.members, mayTry)
	if older == nil {
		return nil, nil
	}
	// One of two that hangs delays nobody.
	candidates := []*Member{older}
	for _, other := range shuffled(s.members) {
		if other != older && mayTry(other) {
			candidates = append(candidates, other)
			break
		}
	}
	return s.tryEach(ctx, candidates, probeTimeout, false)
}

// tryEach asks the candidates for their load, and tries them from the least loaded on.
func (s *search) tryEach(
	ctx context.Context, candidates []*Member, timeout time.Duration, isSample bool,
) (*wire.Answer, error) {
	round := ask(ctx, candidates, timeout, s.probe)
	for _, next := range []func() []probed{round.early, round.late} {
		answered := next()
		for _, each := range answered {
			s.known.note(each.member.Name, each.load)
		}
		if isSample {
			s.known.noteSample(answered)
		}
		free := byLoad(answered)
		s.full += len(answered) - len(free)
		if s.busy != nil && !slices.Contains(candidates, s.busy.member) {
			free = byLoad(append(free, *s.busy))
		}
		s.busy = nil
		for _, each := range free {
			if answer, err := s.try(ctx, each.member); answer != nil || err != nil {
				return answer, err
			}
		}
	}
	s.slow = append(s.slow, round.slow...)
	if round.lastError != nil {
		s.lastError = round.lastError
	}
	return nil, nil
}

func (s *search) try(ctx context.Context, member *Member) (*wire.Answer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.known.sent(member.Name)
	admission, err := s.admit(ctx, member)
	s.known.answered(member.Name, err == nil && admission.Answer != nil, admission.Load)
	switch {
	case err != nil:
		return nil, err
	case admission.Full:
		s.full++
		if admission.Closed != nil {
			s.closed = admission.Closed
		}
	case admission.Unreachable != nil:
		s.lastError = admission.Unreachable
	}
	return admission.Answer, nil
}
