package consul

import (
	"context"
	"net/http"
	"sync"
	"time"

	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
)

const (
	// firstList is 5 seconds for the first list to arrive.
	firstList = 5 * time.Second
	// settle is 15 seconds, the TTL of a member's check. When Consul is back, a member that is
	// missing stays on the list for this long, because it may be about to register again.
	settle = 15 * time.Second
	// A failed watch starts again after 100 ms at first, doubled up to 2 seconds.
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
)

// watch keeps the last good list while Consul is away.
type watch struct {
	agent  *agent
	filter string
	ctx    context.Context

	mutex sync.Mutex
	// answered is the last answer; missing, the members that went while Consul was away.
	answered []registered
	missing  map[string]registered
	hasList  bool
	passing  []*placement.Member
	all      []registered
	err      error
	refusal  error
	// first is closed at the first list or refusal.
	first     chan struct{}
	closeOnce sync.Once
}

func newWatch(ctx context.Context, agent *agent, filter string) *watch {
	w := &watch{
		agent: agent, filter: filter, ctx: ctx,
		missing: map[string]registered{}, first: make(chan struct{}),
	}
	go w.run()
	return w
}

func (w *watch) run() {
	var index uint64
	retry := retryMin
	for w.ctx.Err() == nil {
		members, next, err := w.agent.health(w.ctx, w.filter, index)
		var refusal error
		status, _ := err.(statusError)
		if err == nil && len(members) == 0 || status.status == http.StatusForbidden {
			refusal = w.agent.refusal(w.ctx)
		}
		if err == nil && refusal == nil {
			w.accept(members)
			retry = retryMin
			// A Consul or a proxy may answer at once, although its index stands still. The pause bounds
			// the queries to 10 a second.
			if next <= index {
				_ = placement.Pause(w.ctx, retryMin)
			}
			// An index that goes backwards starts anew.
			if next < index {
				next = 0
			}
			index = next
			continue
		}
		w.fail(err, refusal)
		index = 0
		if placement.Pause(w.ctx, retry) != nil {
			return
		}
		retry = min(retry*2, retryMax)
	}
}

func (w *watch) fail(err, refusal error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if err == nil {
		err = refusal
	}
	w.err, w.refusal = err, refusal
	if refusal != nil {
		w.closeOnce.Do(func() { close(w.first) })
	}
}

func (w *watch) accept(members []registered) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.err != nil {
		for _, member := range w.all {
			w.missing[member.Name] = member
		}
		time.AfterFunc(settle, func() {
			w.mutex.Lock()
			defer w.mutex.Unlock()
			clear(w.missing)
			w.update()
		})
	}
	w.err, w.refusal, w.answered, w.hasList = nil, nil, members, true
	for _, member := range members {
		delete(w.missing, member.Name)
	}
	w.update()
	w.closeOnce.Do(func() { close(w.first) })
}

func (w *watch) update() {
	w.all = append([]registered{}, w.answered...)
	for _, member := range w.missing {
		w.all = append(w.all, member)
	}
	w.passing = nil
	for _, member := range w.all {
		if member.isPassing {
			w.passing = append(w.passing, member.Member)
		}
	}
}

// list is the members that pass, and all of them.
func (w *watch) list(ctx context.Context) ([]*placement.Member, []registered, error) {
	timer := time.NewTimer(firstList)
	defer timer.Stop()
	select {
	case <-w.first:
	case <-timer.C:
	case <-w.ctx.Done():
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	switch {
	case w.hasList:
		return w.passing, w.all, nil
	case w.refusal != nil:
		return nil, nil, w.refusal
	case w.err != nil:
		return nil, nil, fault.New("no_members_available",
			"Consul has not answered yet: %v", w.err).By(w.err)
	}
	return nil, nil, fault.New("no_members_available",
		"Consul has not answered yet: no answer in %v", firstList)
}
