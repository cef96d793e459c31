package placement

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"distributed-pool/sdk/go/api"
)

// hedge is 10 ms: once half of the members have answered, the others have as much time again, and
// at least this.
const hedge = 10 * time.Millisecond

// probed is the load that a member told.
type probed struct {
	member *Member
	load   api.Load
}

func ratioOf(load api.Load) float64 {
	if load.Max <= 0 {
		return 1
	}
	return float64(load.Active) / float64(load.Max)
}

// byLoad is the members with a free slot, the least loaded first; equals keep their random order.
func byLoad(all []probed) []probed {
	free := slices.DeleteFunc(slices.Clone(all), func(each probed) bool {
		return each.load.Active >= each.load.Max
	})
	slices.SortStableFunc(free, func(a, b probed) int {
		return cmp.Compare(ratioOf(a.load), ratioOf(b.load))
	})
	return free
}

// shuffled is the members in random order.
func shuffled(members []*Member) []*Member {
	mixed := slices.Clone(members)
	rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return mixed
}

// probe asks a member for its load in the pool.
type probe func(ctx context.Context, member *Member) (api.Load, error)

// round is one question to several members at once.
type round struct {
	startedAt time.Time
	mutex     sync.Mutex
	answered  []probed
	slow      []*Member
	lastError error
	half, all chan struct{}
}

// ask asks the members. Each has as long as the timeout.
func ask(ctx context.Context, members []*Member, timeout time.Duration, probe probe) *round {
	r := &round{startedAt: time.Now(), half: make(chan struct{}), all: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	done, hasFree, isHalf := 0, false, false
	one := func(member *Member) {
		load, err := probe(ctx, member)
		r.mutex.Lock()
		defer r.mutex.Unlock()
		if err != nil {
			r.lastError = err
			if ctx.Err() != nil {
				r.slow = append(r.slow, member)
			}
		} else {
			r.answered = append(r.answered, probed{member, load})
			hasFree = hasFree || load.Active < load.Max
		}
		done++
		if hasFree && done*2 >= len(members) && !isHalf {
			isHalf = true
			close(r.half)
		}
		if done == len(members) {
			cancel()
			close(r.all)
		}
	}
	for _, member := range members {
		go one(member)
	}
	return r
}

// early is the answers of the quick members; of all members where the quick ones have no free
// slot.
func (r *round) early() []probed {
	select {
	case <-r.all:
	case <-r.half:
		select {
		case <-r.all:
		case <-time.After(max(hedge, time.Since(r.startedAt))):
		}
	}
	return r.take()
}

// late is the answers that came later.
func (r *round) late() []probed {
	<-r.all
	return r.take()
}

func (r *round) take() []probed {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	taken := r.answered
	r.answered = nil
	return taken
}
