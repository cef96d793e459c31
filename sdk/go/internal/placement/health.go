package placement

import (
	"context"
	"errors"
	"sync"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
)

const (
	// failuresToEject is 3 failures in a row, after which a member goes to the end of the order.
	failuresToEject = 3
	// ejection is 5 seconds for the first one, 10 for the second, up to 5 minutes.
	ejection    = 5 * time.Second
	maxEjection = 5 * time.Minute
	// trial is a second: so often one caller tries a member once its ejection is over.
	trial = time.Second
	// maxFailing bounds the members whose failures are known.
	maxFailing = 10_000
	// slowAnswer is 100 ms for a member to tell its load; a slower answer counts as a failure.
	slowAnswer = 100 * time.Millisecond
)

type failing struct {
	failures, ejections int
	until               time.Time
	isOnTrial           bool
}

// outliers is failures of one kind by the member's name. The algorithm is Envoy's outlier
// detection. No member is left out for good, because the others may be full.
type outliers struct {
	mutex sync.Mutex
	known map[string]*failing
}

func (o *outliers) mayTry(name string) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	found := o.known[name]
	if found == nil || found.failures < failuresToEject {
		return true
	}
	now := time.Now()
	if now.Before(found.until) {
		return false
	}
	found.until = now.Add(trial)
	found.isOnTrial = true
	return true
}

func (o *outliers) note(name string, failed bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	found := o.known[name]
	now := time.Now()
	if !failed {
		if found != nil {
			found.failures = 0
			if found.ejections == 0 || now.Sub(found.until) > maxEjection {
				delete(o.known, name)
			}
		}
		return
	}
	if found == nil {
		if len(o.known) >= maxFailing {
			clear(o.known)
		}
		found = &failing{}
		o.known[name] = found
	}
	found.failures++
	if found.failures < failuresToEject || now.Before(found.until) && !found.isOnTrial {
		return
	}
	found.ejections++
	found.isOnTrial = false
	found.until = now.Add(min(maxEjection, ejection*time.Duration(found.ejections)))
}

// health is that of a pool's members, as this process has found it.
type health struct {
	// starts is whether members start children; answers, whether they tell their load in time.
	starts, answers outliers
}

func newHealth() *health {
	return &health{outliers{known: map[string]*failing{}}, outliers{known: map[string]*failing{}}}
}

// mayTry says whether a member comes before the sick ones.
func (h *health) mayTry(member *Member) bool {
	return h.starts.mayTry(member.Name) && h.answers.mayTry(member.Name)
}

// timed asks a member for its load, and notes whether it answers in time.
func (h *health) timed(
	ctx context.Context, member *Member, ask func(context.Context) (api.Load, error),
) (api.Load, error) {
	startedAt := time.Now()
	load, err := ask(ctx)
	isLate := time.Since(startedAt) > slowAnswer
	// A caller that leaves early ends its questions.
	if err == nil || isLate || !errors.Is(context.Cause(ctx), context.Canceled) {
		h.answers.note(member.Name, err != nil || isLate)
	}
	return load, err
}

// noted notes how a try to be admitted ends.
func (h *health) noted(member *Member, admission Admission, err error) {
	if err == nil {
		err = admission.Unreachable
	}
	if err == nil {
		if admission.Answer != nil {
			h.starts.note(member.Name, false)
		}
		return
	}
	failure := fault.Of(err)
	isSick := failure == nil || failure.Code == "sandbox_unavailable" ||
		failure.Code == "internal_error" || failure.Code == "member_lost"
	if isSick {
		h.starts.note(member.Name, true)
	}
}
