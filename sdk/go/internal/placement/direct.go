package placement

import (
	"context"
	"slices"
	"sync"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

// maxPools bounds the pools about which facts are kept.
const maxPools = 1000

// Directory is the members of the pools, and what this process knows about them.
type Directory struct {
	Client  *wire.Client
	Members Members
	mutex   sync.Mutex
	facts   map[string]*facts
}

type facts struct {
	known  *knownLoads
	health *health
}

func (d *Directory) factsOf(pool string) *facts {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if found := d.facts[pool]; found != nil {
		return found
	}
	if d.facts == nil || len(d.facts) >= maxPools {
		d.facts = map[string]*facts{}
	}
	made := &facts{newKnownLoads(), newHealth()}
	d.facts[pool] = made
	return made
}

// Load is that of a member in a pool. A member that does not serve it is pool_not_found.
func (d *Directory) Load(ctx context.Context, member *Member, pool string) (api.Load, error) {
	answer, err := d.Client.Send(ctx, wire.Request{
		Method: "GET", URL: member.URL + "/children/count", Member: member.Name,
		Accept: wire.JSON, HeadTimeout: wire.AnswerTimeout,
	})
	if err != nil {
		return api.Load{}, err
	}
	// As fractions, numbers that make no sense are still read. They only mislead the order.
	type told struct{ Active, Max, Queued float64 }
	count, err := wire.Decode[struct{ Pools map[string]told }](answer, "pools")
	if err != nil {
		return api.Load{}, err
	}
	load, ok := count.Pools[pool]
	if !ok {
		return api.Load{}, fault.New("pool_not_found",
			"member %s does not serve pool %s", member.Name, pool)
	}
	return api.Load{
		Active: bounded(load.Active), Max: bounded(load.Max), Queued: bounded(load.Queued),
	}, nil
}

// bounded is a count of a load, between 0 and a million.
func bounded(count float64) int64 { return int64(min(max(count, 0), 1e6)) }

// placing is one caller's way to a member.
type placing struct {
	*Directory
	*facts
	try       Try
	deadline  wire.Deadline
	startedAt time.Time
	mutex     sync.Mutex
	// unfit is the members that cannot serve the call, with their refusals.
	unfit map[string]error
}

// Place places a child at one of the members, without a gateway. The deadline of the spec starts
// here, and covers the wait for a slot. A call that may have been admitted is never sent
// elsewhere.
func (d *Directory) Place(ctx context.Context, try Try) (*wire.Answer, error) {
	p := &placing{
		Directory: d, facts: d.factsOf(try.Pool), try: try, startedAt: time.Now(),
		deadline: wire.NewDeadline(try.Spec.Millis("deadlineMs")), unfit: map[string]error{},
	}
	answer, err := p.placeOrWait(ctx)
	if err == nil {
		return answer, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if failure := fault.Of(err); failure != nil && failure.Code == "no_members_available" {
		if refusal := d.Members.Refusal(ctx); refusal != nil {
			return nil, refusal
		}
	}
	if cause, ok := err.(interface{ Unwrap() error }); ok {
		if refusal := refusalIn(cause.Unwrap()); refusal != nil {
			return nil, refusal
		}
	}
	return nil, err
}

// candidates is the members that fit. It fails with the first refusal when no other member is
// left.
func (p *placing) candidates(ctx context.Context) ([]*Member, error) {
	members, err := p.Members.In(ctx, p.try.Pool)
	if err != nil {
		return nil, err
	}
	fit, err := fitting(p.try.Pool, p.try.Spec, members)
	if err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	others := slices.DeleteFunc(slices.Clone(fit), func(member *Member) bool {
		return p.unfit[member.Name] != nil
	})
	if len(others) == 0 {
		for _, refusal := range p.unfit {
			return nil, refusal
		}
	}
	return others, nil
}

// tryNow tries to be admitted without a wait.
func (p *placing) tryNow(ctx context.Context, isThorough bool) (*wire.Answer, error) {
	fit, err := p.candidates(ctx)
	if err != nil {
		return nil, err
	}
	if len(fit) == 0 {
		return nil, NobodyIn(ctx, p.try.Pool, p.Members)
	}
	search := &search{
		pool: p.try.Pool, members: fit, known: p.known, mayTry: p.health.mayTry, probe: p.probe,
		admit: func(ctx context.Context, member *Member) (Admission, error) {
			return p.admit(ctx, member, "")
		},
	}
	answer, err := search.place(ctx, isThorough)
	failure := fault.Of(err)
	isFull := failure != nil && failure.Code == "all_members_at_capacity"
	if !isFull || p.try.Spec.Text("idempotencyKey") == "" {
		return answer, err
	}
	// The child that a key has started needs no slot, so any member of a full pool answers with it.
	admission, again := p.admit(ctx, shuffled(fit)[0], "")
	if again != nil {
		return nil, again
	}
	if admission.Answer != nil {
		return admission.Answer, nil
	}
	return nil, err
}

func (p *placing) probe(ctx context.Context, member *Member) (api.Load, error) {
	return p.health.timed(ctx, member, func(ctx context.Context) (api.Load, error) {
		return p.Load(ctx, member, p.try.Pool)
	})
}

func (p *placing) admit(ctx context.Context, member *Member, slot string) (Admission, error) {
	// The member may have begun to leave. A request to a port that closes could get lost.
	members, err := p.Members.In(ctx, p.try.Pool)
	if err != nil {
		return Admission{}, err
	}
	isThere := slices.ContainsFunc(members, func(m *Member) bool { return m.Name == member.Name })
	if !isThere {
		left := fault.New("no_members_available", "member %s has left the pool", member.Name)
		return Admission{Unreachable: left}, nil
	}
	if p.deadline.Passed() {
		return Admission{}, p.passed()
	}
	try := p.try
	try.Spec = try.Spec.With(p.deadline.InSpec()).With(wire.Spec{"waitMs": 0})
	if slot != "" {
		try.slot, try.waited = slot, time.Since(p.startedAt)
	}
	admission, err := admit(ctx, p.Client, member, try)
	p.health.noted(member, admission, err)
	if err != nil {
		return admission, err
	}
	if admission.Load != nil {
		p.known.note(member.Name, *admission.Load)
	}
	if admission.Answer != nil {
		admission.Answer.OnEnd = func() { p.known.ended(member.Name) }
	}
	return admission, p.noteUnfit(ctx, member, admission.Unreachable)
}

// noteUnfit keeps a refusal that would come again. It fails where no member is left that is fit.
func (p *placing) noteUnfit(ctx context.Context, member *Member, err error) error {
	refusal := fault.Of(err)
	if refusal == nil || !slices.Contains(unfit, refusal.Code) && refusal.Code.Valid() {
		return nil
	}
	p.mutex.Lock()
	p.unfit[member.Name] = refusal
	p.mutex.Unlock()
	_, none := p.candidates(ctx)
	return none
}

func (p *placing) passed() error {
	return fault.New("deadline_exceeded", "the deadline of %v passed before a member admitted",
		p.try.Spec.Millis("deadlineMs"))
}
