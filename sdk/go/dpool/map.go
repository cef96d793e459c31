package dpool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"distributed-pool/sdk/go/internal/fault"
)

const (
	// mapWait is a minute for a call to wait for a slot.
	mapWait = time.Minute
	// mapRetries is 5 further tries for each input.
	mapRetries = 5
	// maxConcurrency is 500 calls at a time by default.
	maxConcurrency = 500
	// countAgain is 5 seconds, after which the slots are counted again: members join and leave.
	countAgain = 5 * time.Second
	// stopTime is 5 seconds for the calls that were stopped to end.
	stopTime = 5 * time.Second
)

// MapOptions are those of a Map.
type MapOptions struct {
	// Concurrency is the number of calls at a time. Default: the slots of the pool, counted every 5
	// seconds, up to 500.
	Concurrency int
	// Unordered yields results as their calls end. Default: in the order of the inputs.
	Unordered bool
	// OnProgress is called when a call has succeeded, with those that have and those that still run.
	OnProgress func(done, running int)
}

// Map calls a function once for each input, which is its one argument, and yields the values. Inputs
// are read one by one, as calls may start; a slow reader holds back further calls.
//
// A call waits for a slot for a minute, unless the spec has a Wait, and is made again up to 5 times
// when it certainly started nothing. The children are linked: they stop when the map ends. With an
// IdempotencyKey, each call has a key of its own: KEY/INDEX.
//
// The first failure ends the map, and is the last that it yields, with the position of its input as
// Error.Index. A reader that leaves, and a cancelled context, end it too. Then no further input is
// read, and the other calls are stopped.
//
//	square := dpool.Source("python", "lambda n: n * n")
//	for value, err := range dpool.Map[int](ctx, pools, "pipeline", square, slices.Values(inputs)) {
func Map[R, I any](
	ctx context.Context, pools *Pools, pool string, spec Spec, inputs iter.Seq[I],
	options ...MapOptions,
) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var none R
		fan := &fan[R]{pools: pools, pool: pool, spec: spec, waiting: map[int]R{}}
		if len(options) > 0 {
			fan.options = options[0]
		}
		if err := fan.prepare(); err != nil {
			yield(none, err)
			return
		}
		fan.changed.L = &fan.mutex
		fan.ctx, fan.cancel = context.WithCancelCause(ctx)
		defer context.AfterFunc(fan.ctx, fan.wake)()
		defer fan.stop()
		go start(fan, inputs)
		for {
			value, isThere, err := fan.next()
			if err != nil {
				yield(none, err)
				return
			}
			if !isThere || !yield(value, nil) {
				return
			}
		}
	}
}

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
	hasArgs := spec.Function != nil && spec.Function.Args != nil || spec.Task != nil && spec.Task.Args != nil
	if len(spec.Command) > 0 || spec.Function == nil && spec.Task == nil || hasArgs {
		return fault.New("invalid_request", "expected a function or a task without args to map: "+
			"each input is the argument")
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

// countSlots is the slots of the pool on the members that answer, at least 1. Calls go on by the old
// number when the pool does not answer.
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
		var failure *Error
		if errors.As(err, &failure) {
			failure.Index = index
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
	f.cancel(err)
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
