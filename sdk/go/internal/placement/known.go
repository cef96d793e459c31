package placement

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"distributed-pool/sdk/go/api"
)

const (
	// freshFor is 100 ms: a member that said nothing for longer may hang.
	freshFor = 100 * time.Millisecond
	// knownFor is 5 seconds: until then, a member that had a free slot is worth a question.
	knownFor = 5 * time.Second
	// maxKnown bounds the members whose loads are known, those of the latest news.
	maxKnown = 2048
	// choices is the number of random members that are compared.
	choices = 5
)

// belief is what one client thinks about the load of one member.
type belief struct {
	// at is when the member told its load, or when the last end of a child there was seen.
	at   time.Time
	told *api.Load
	// since is children admitted less children ended, since the member told its load.
	since int
	// pending is requests without an answer yet, since silentSince.
	pending     int
	silentSince time.Time
}

func (b *belief) active() int { return max(0, int(b.told.Active)+b.since) + b.pending }
func (b *belief) isFree() bool {
	return b.told != nil && b.active() < int(b.told.Max)
}
func (b *belief) ratio() float64 { return float64(b.active()) / float64(b.told.Max) }
func (b *belief) isSilent(now time.Time) bool {
	return b.pending > 0 && now.Sub(b.silentSince) > freshFor
}

// knownLoads is the loads of a pool's members as one client knows them: those that it was told,
// and what it has sent and seen end since. The choice among a few random members, with the one
// whose child ended last, is that among d with memory (Mitzenmacher, Prabhakar and Shah, 2002).
type knownLoads struct {
	mutex   sync.Mutex
	beliefs map[string]*belief
	// freed is the name of the member whose child ended last.
	freed string
	// usual is the mean of active/max in the last sample.
	usual   float64
	usualAt time.Time
}

func newKnownLoads() *knownLoads { return &knownLoads{beliefs: map[string]*belief{}} }

// change finds or makes the belief about a member, and changes it.
func (k *knownLoads) change(name string, change func(b *belief, now time.Time)) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	now := time.Now()
	found, ok := k.beliefs[name]
	if !ok {
		k.makeRoom(now)
		found = &belief{at: now}
		k.beliefs[name] = found
	}
	change(found, now)
}

func (k *knownLoads) makeRoom(now time.Time) {
	oldest := ""
	for name, each := range k.beliefs {
		if each.pending == 0 && now.Sub(each.at) > knownFor {
			delete(k.beliefs, name)
		} else if oldest == "" || each.at.Before(k.beliefs[oldest].at) {
			oldest = name
		}
	}
	if len(k.beliefs) >= maxKnown {
		delete(k.beliefs, oldest)
	}
}

// note notes the load that a member told.
func (k *knownLoads) note(name string, load api.Load) {
	k.change(name, func(b *belief, now time.Time) { b.told, b.since, b.at = &load, 0, now })
}

// noteSample notes the loads of a random sample of the members.
func (k *knownLoads) noteSample(sample []probed) {
	if len(sample) == 0 {
		return
	}
	sum := 0.0
	for _, each := range sample {
		sum += ratioOf(each.load)
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.usual, k.usualAt = sum/float64(len(sample)), time.Now()
}

// sent notes that a member was sent a request for an admission.
func (k *knownLoads) sent(name string) {
	k.change(name, func(b *belief, now time.Time) {
		if b.pending == 0 {
			b.silentSince = now
		}
		b.pending++
	})
}

// answered notes the answer to such a request, or its failure.
func (k *knownLoads) answered(name string, isAdmitted bool, told *api.Load) {
	k.change(name, func(b *belief, now time.Time) {
		b.pending = max(0, b.pending-1)
		b.silentSince = now
		switch {
		case told != nil:
			b.told, b.since, b.at = told, 0, now
		case isAdmitted:
			b.since++
		default:
			b.told = nil
		}
	})
}

// ended notes that a child which this client placed there has ended.
func (k *knownLoads) ended(name string) {
	k.change(name, func(b *belief, now time.Time) {
		if b.told != nil {
			b.since--
			b.at = now
			k.freed = name
		}
	})
}

// choice is a member that is believed to have a free slot.
type choice struct {
	probed
	// isBusy says that a sample of the members that are not known is likely to show a lower load.
	isBusy bool
}

// choose is the least loaded of a few members that are known to have a free slot, and that spoke
// just now; nil where there is none.
func (k *knownLoads) choose(members []*Member, mayTry func(*Member) bool) *choice {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	now := time.Now()
	fresh := 0
	var usable []*Member
	for _, member := range members {
		b := k.beliefs[member.Name]
		if b == nil || now.Sub(b.at) > freshFor {
			continue
		}
		fresh++
		if b.isFree() && !b.isSilent(now) {
			usable = append(usable, member)
		}
	}
	best := k.leastLoaded(usable, mayTry)
	if best == nil {
		return nil
	}
	load := best.load
	usual := 0.0
	if now.Sub(k.usualAt) <= knownFor {
		usual = k.usual
	}
	isBusy := load.Active > 0 && ratioOf(load) > usual+0.5/float64(load.Max)
	return &choice{*best, isBusy && len(members) > fresh}
}

// older is the least loaded of a few members whose loads are old, which is worth a question; or
// nil.
func (k *knownLoads) older(members []*Member, mayTry func(*Member) bool) *Member {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	now := time.Now()
	var usable []*Member
	for _, member := range members {
		b := k.beliefs[member.Name]
		if b == nil || !b.isFree() || b.isSilent(now) {
			continue
		}
		if age := now.Sub(b.at); age > freshFor && age <= knownFor {
			usable = append(usable, member)
		}
	}
	if best := k.leastLoaded(usable, mayTry); best != nil {
		return best.member
	}
	return nil
}

// leastLoaded compares a few of the members, and the one whose child ended last.
func (k *knownLoads) leastLoaded(usable []*Member, mayTry func(*Member) bool) *probed {
	rand.Shuffle(len(usable), func(i, j int) { usable[i], usable[j] = usable[j], usable[i] })
	drawn := slices.Clone(usable[:min(choices, len(usable))])
	for _, member := range usable[len(drawn):] {
		if member.Name == k.freed {
			drawn = append(drawn, member)
		}
	}
	ratio := func(member *Member) float64 { return k.beliefs[member.Name].ratio() }
	slices.SortStableFunc(drawn, func(a, b *Member) int { return cmp.Compare(ratio(a), ratio(b)) })
	for _, member := range drawn {
		if mayTry(member) {
			b := k.beliefs[member.Name]
			load := *b.told
			load.Active = int64(b.active())
			return &probed{member, load}
		}
	}
	return nil
}
