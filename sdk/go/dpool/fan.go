package dpool

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"distributed-pool/sdk/go/internal/fault"
)

// fan runs one function over many inputs.
type fan[R any] struct {
	pools   *Pools
	pool    string
	spec    Spec
	options MapOptions
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mutex   sync.Mutex
	changed sync.Cond
	// waiting is the results that nobody has read, by the position of their input.
	waiting                         map[int]R
	started, running, done, yielded int
	isExhausted                     bool
	failure                         error

	slots     int
	countedAt time.Time
}

// prepare checks the work, and adds the defaults of a map's calls.
func (f *fan[R]) prepare() error {
	spec := &f.spec
	hasArgs := spec.Function != nil && spec.Function.Args != nil ||
		spec.Task != nil && spec.Task.Args != nil
	if len(spec.Command) > 0 || spec.Function == nil && spec.Task == nil || hasArgs {
		return fault.New("invalid_request", "expected a function or a task without args to map: "+
			"each input is the argument")
	}
	if spec.Stdin != nil {
		return fault.New("invalid_request",
			"Stdin: expected none for a map: its calls cannot share one reader")
	}
	if f.options.Concurrency < 0 {
		return fault.New("invalid_request",
			"Concurrency: expected at least 0; got %d", f.options.Concurrency)
	}
	spec.Link = true
	if spec.Wait == 0 {
		spec.Wait = mapWait
	}
	if spec.Retries == 0 {
		spec.Retries = mapRetries
	}
	return nil
}

func (f *fan[R]) wake() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.changed.Broadcast()
}

// start reads inputs and starts their calls, as long as there is room.
func start[R, I any](f *fan[R], inputs iter.Seq[I]) {
	next, closeInputs := iter.Pull(inputs)
	defer closeInputs()
	for f.waitForRoom() {
		input, isThere := next()
		f.mutex.Lock()
		f.isExhausted = !isThere
		if !isThere || f.ctx.Err() != nil {
			f.changed.Broadcast()
			f.mutex.Unlock()
			return
		}
		index := f.started
		f.started++
		f.running++
		f.mutex.Unlock()
		go f.call(index, f.spec.withArgs(input))
	}
}

// waitForRoom waits until another call may start. It reports false once the map has ended.
func (f *fan[R]) waitForRoom() bool {
	limit := f.options.Concurrency
	if limit == 0 {
		var err error
		if limit, err = f.countSlots(); err != nil {
			f.fail(err)
			return false
		}
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for f.ctx.Err() == nil && (f.running >= limit || f.running+len(f.waiting) >= 2*limit) {
		f.changed.Wait()
	}
	return f.ctx.Err() == nil
}

// countSlots is the slots of the pool on the members that answer, at least 1. Calls go on by the
// old number when the pool does not answer.
func (f *fan[R]) countSlots() (int, error) {
	if f.slots > 0 && time.Since(f.countedAt) < countAgain {
		return f.slots, nil
	}
	info, err := f.pools.Pool(f.ctx, f.pool)
	if err != nil && f.slots == 0 {
		return 0, err
	}
	f.countedAt = time.Now()
	if err == nil {
		most := 0
		for _, member := range info.Members {
			if member.Load != nil {
				most += int(member.Load.Max)
			}
		}
		f.slots = min(max(most, 1), maxConcurrency)
	}
	return f.slots, nil
}

// call makes one call.
func (f *fan[R]) call(index int, spec Spec) {
	if spec.IdempotencyKey != "" {
		spec.IdempotencyKey = fmt.Sprintf("%s/%d", spec.IdempotencyKey, index)
	}
	value, err := Value[R](f.pools.Call(f.ctx, f.pool, spec))
	if err != nil {
		if failure := fault.Of(err); failure != nil {
			failure = failure.Copy()
			failure.Index = index
			err = failure
		}
		f.fail(err)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.running--
	if err == nil {
		f.done++
		f.waiting[index] = value
		if f.options.OnProgress != nil && f.ctx.Err() == nil {
			f.options.OnProgress(f.done, f.running)
		}
	}
	f.changed.Broadcast()
}

// fail keeps the first failure, and stops the calls.
func (f *fan[R]) fail(err error) {
	f.mutex.Lock()
	if f.failure == nil && f.ctx.Err() == nil {
		f.failure = err
	}
	f.mutex.Unlock()
	f.cancel(nil)
}

// next is the next value. It reports false at the end of the map.
func (f *fan[R]) next() (value R, isThere bool, err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for {
		if f.failure != nil {
			return value, false, f.failure
		}
		if f.ctx.Err() != nil {
			return value, false, context.Cause(f.ctx)
		}
		for index, value := range f.waiting {
			if f.options.Unordered || index == f.yielded {
				delete(f.waiting, index)
				f.yielded++
				f.changed.Broadcast()
				return value, true, nil
			}
		}
		if f.isExhausted && f.running == 0 {
			return value, false, nil
		}
		f.changed.Wait()
	}
}

// stop stops the calls, and waits a moment for them to end.
func (f *fan[R]) stop() {
	f.cancel(nil)
	isOver := false
	timer := time.AfterFunc(stopTime, func() {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		isOver = true
		f.changed.Broadcast()
	})
	defer timer.Stop()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for f.running > 0 && !isOver {
		f.changed.Wait()
	}
}
