package dpool

import (
	"context"
	"iter"
	"time"
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

// Map calls a function once for each input, which is its one argument, and yields the values.
// Inputs are read one by one, as calls may start; a slow reader holds back further calls.
//
// A call waits for a slot for a minute, unless the spec has a Wait, and is made again up to 5
// times when it certainly started nothing. The children are linked: they stop when the map ends.
// With an IdempotencyKey, each call has a key of its own: KEY/INDEX.
//
// The first failure ends the map, and is the last that it yields, with the position of its input
// as Error.Index. A reader that leaves, and a cancelled context, end it too. Then no further input
// is read, and the other calls are stopped.
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
