package dpool

import (
	"context"
	"math/rand/v2"
	"time"

	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
	"distributed-pool/sdk/go/internal/wire"
)

const (
	// The first pause takes up to 100 ms; the limit of each further one is twice as high, up to 10
	// s.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
	// minDraining is 3 tries behind a gateway that drains: at its URL another member may answer.
	minDraining = 3
	// maxRetryAfter is a minute: a member that asks for more is not asked again.
	maxRetryAfter = time.Minute
)

// retries are the tries of one call, which is made again only where it cannot start a second
// child.
type retries struct {
	max      int
	isKeyed  bool
	deadline wire.Deadline
	made     int
	// mayRun says whether a try may have started the child.
	mayRun bool
}

func retriesOf(spec Spec) *retries {
	return &retries{
		max: spec.Retries, isKeyed: spec.IdempotencyKey != "",
		deadline: wire.NewDeadline(spec.Deadline),
	}
}

// spec is that of the next try, with the rest of the deadline.
func (r *retries) spec(spec wire.Spec) wire.Spec {
	if r.made == 0 {
		return spec
	}
	return spec.With(r.deadline.InSpec())
}

// allow says whether the call may be made again.
func (r *retries) allow(err error) bool {
	failure := fault.Of(err)
	if failure == nil || !failure.Retryable() && !(r.isKeyed && failure.Code == "member_lost") {
		return false
	}
	if failure.Code == "draining" {
		return r.made < max(r.max, minDraining)
	}
	return r.made < r.max
}

// known is the error of the last try. A refusal does not say that the tries before it ran nothing.
func (r *retries) known(err error) error {
	failure := fault.Of(err)
	if r.mayRun && failure != nil && failure.Retryable() {
		return failure.Copy().With(fault.Unknown)
	}
	return err
}

// pauseAfter waits before the next try: a random time (full jitter) behind that of Retry-After. It
// fails with the error itself when no try is left, or the deadline would pass.
func (r *retries) pauseAfter(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !r.allow(err) {
		return r.known(err)
	}
	failure := fault.Of(err)
	longest := min(lastRetry, firstRetry<<min(r.made, 10))
	pause := failure.RetryAfter + time.Duration(rand.Float64()*float64(longest))
	if failure.RetryAfter > maxRetryAfter || pause >= r.deadline.Rest() {
		return r.known(err)
	}
	r.made++
	r.mayRun = r.mayRun || !failure.Retryable()
	return placement.Pause(ctx, pause)
}
