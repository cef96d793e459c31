package placement

import (
	"cmp"
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/sse"
	"distributed-pool/sdk/go/internal/wire"
)

const (
	// waitAtAllUpTo is 5 members: in a pool of so many, a caller waits at all of them.
	waitAtAllUpTo = 5
	// waitAt is 2 members of a larger pool, those with the shortest queues of a sample.
	waitAt = 2
	// maxSlotEvent is 64 KiB: an event of a wait is short.
	maxSlotEvent = 64 << 10
	// claimPause is 20 ms after a claim that failed; the pauses double up to a second.
	claimPause    = 20 * time.Millisecond
	maxClaimPause = time.Second
)

// granted is a slot that a member holds for this caller until release is called.
type granted struct {
	member  *Member
	slot    string
	release func()
}

// placeOrWait is admitted at once, or as soon as a slot is granted.
func (p *placing) placeOrWait(ctx context.Context) (*wire.Answer, error) {
	wait := p.try.Spec.Millis("waitMs")
	if wait <= 0 {
		return p.tryNow(ctx, true)
	}
	until := wire.NewDeadline(min(wait, p.deadline.Rest()))
	answer, err := p.tryNow(ctx, false)
	failure := fault.Of(err)
	if failure == nil || failure.Code != "all_members_at_capacity" {
		return answer, err
	}
	for failures := 0; ; failures++ {
		slot, err := p.nextSlot(ctx, until)
		if err != nil {
			return nil, err
		}
		admission, err := p.admit(ctx, slot.member, slot.slot)
		slot.release()
		if err != nil || admission.Answer != nil {
			return admission.Answer, err
		}
		longest := min(maxClaimPause, claimPause<<min(failures, 10))
		pause := time.Duration(float64(longest) * (0.5 + rand.Float64()))
		if err := Pause(ctx, min(pause, until.Rest())); err != nil {
			return nil, err
		}
	}
}

// nextSlot waits in the queues of several members. The first slot that is granted ends the other
// waits.
func (p *placing) nextSlot(parent context.Context, until wire.Deadline) (*granted, error) {
	fit, err := p.candidates(parent)
	if err != nil {
		return nil, err
	}
	if len(fit) > waitAtAllUpTo {
		fit = p.shortestQueues(parent, fit)
	}
	if rest := until.Rest(); rest <= 0 || len(fit) == 0 {
		return nil, p.timeout()
	}
	results := make(chan result, len(fit))
	positions := &positions{tell: p.try.OnPosition, of: map[string]int{}}
	ends := map[*Member]context.CancelFunc{}
	var kept *Member
	defer func() {
		for member, end := range ends {
			if member != kept {
				end()
			}
		}
	}()
	for _, member := range fit {
		ctx, end := context.WithCancel(parent)
		ends[member] = end
		go func() {
			slot, err := p.waitAt(ctx, member, until, positions)
			results <- result{member, slot, err}
		}()
	}
	isOver := time.After(until.Rest())
	var last error
	for range fit {
		select {
		case <-parent.Done():
			return nil, context.Cause(parent)
		case <-isOver:
			return nil, p.timeout()
		case got := <-results:
			if got.err == nil {
				kept = got.member
				return &granted{got.member, got.slot, ends[kept]}, nil
			}
			last = got.err
		}
	}
	if failure := fault.Of(last); failure != nil && failure.Code == "queue_timeout" {
		return nil, p.timeout()
	}
	return nil, fault.New("all_members_at_capacity",
		"pool %s: its members are at capacity, and so are their queues", p.try.Pool).By(last)
}

type result struct {
	member *Member
	slot   string
	err    error
}

func (p *placing) timeout() error {
	if p.deadline.Passed() {
		return p.passed()
	}
	return fault.New("queue_timeout", "no slot of pool %s came free in %v",
		p.try.Pool, p.try.Spec.Millis("waitMs"))
}

// waitAt waits in a member's queue. The slot is held until the context ends.
func (p *placing) waitAt(
	ctx context.Context, member *Member, until wire.Deadline, positions *positions,
) (string, error) {
	request := wire.Spec{"pool": p.try.Pool, "waitMs": max(1, until.Rest().Milliseconds())}
	if sandbox := p.try.Spec.Text("sandbox"); sandbox != "" {
		request["sandbox"] = sandbox
	}
	body, err := wire.JSONBody(request)
	if err != nil {
		return "", err
	}
	answer, err := p.Client.Send(ctx, wire.Request{
		Method: "POST", URL: member.URL + "/slots", Member: member.Name, Accept: wire.Events,
		Body: body, HeadTimeout: wire.AnswerTimeout,
	})
	if err != nil {
		return "", err
	}
	if answer.StatusCode >= 400 {
		return "", wire.Problem(answer)
	}
	context.AfterFunc(ctx, func() { answer.Body.Close() })
	events := sse.NewReader(answer.Body, maxSlotEvent)
	for {
		event, err := events.Next()
		if err != nil {
			return "", err
		}
		var data struct {
			Type     string
			Position int
			Slot     api.Slot
			Problem  json.RawMessage
		}
		if err := json.Unmarshal(event.Data, &data); err != nil {
			return "", err
		}
		switch data.Type {
		case "queued":
			positions.note(member.Name, data.Position)
		case "granted":
			return string(data.Slot.Id), nil
		case "failed":
			if problem, ok := fault.Parse(data.Problem); ok {
				return "", problem
			}
			return "", fault.New("member_lost", "expected a problem; got %.200q", event.Data)
		}
	}
}

// shortestQueues is the members of a random sample with the shortest queues, and all with a free
// slot.
func (p *placing) shortestQueues(ctx context.Context, members []*Member) []*Member {
	sample := shuffled(members)[:sampleSize]
	round := ask(ctx, sample, probeTimeout, p.probe)
	answered := append(round.early(), round.late()...)
	demand := func(load api.Load) float64 {
		return float64(load.Active+load.Queued) / float64(max(1, load.Max))
	}
	slices.SortFunc(answered, func(a, b probed) int {
		return cmp.Compare(demand(a.load), demand(b.load))
	})
	count := max(waitAt, len(byLoad(answered)))
	var chosen []*Member
	for _, each := range answered[:min(count, len(answered))] {
		chosen = append(chosen, each.member)
	}
	if len(chosen) == 0 {
		return sample[:waitAt]
	}
	return chosen
}

// positions tells the best position in several queues, when it changes.
type positions struct {
	mutex sync.Mutex
	tell  func(int)
	of    map[string]int
	told  int
}

func (p *positions) note(member string, position int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.of[member] = position
	best := position
	for _, each := range p.of {
		best = min(best, each)
	}
	if p.tell != nil && best != p.told {
		p.told = best
		p.tell(best)
	}
}
