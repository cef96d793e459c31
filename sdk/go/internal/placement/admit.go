package placement

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

const (
	// repeats is 3: so often a try whose answer was lost is sent again within 10 seconds.
	repeats = 3
	// firstPause is 50 ms before the first repeat, and twice as long before each next one.
	firstPause = 50 * time.Millisecond
)

// The codes of refusals, by what they mean for placement.
var (
	// unfit: the member lacks the task or the runtime, or cannot start the child.
	unfit = []api.ErrorCode{"task_not_found", "runtime_not_found", "sandbox_unavailable"}
	// aboutCaller: the caller gets such a refusal when no member answers better.
	aboutCaller = append([]api.ErrorCode{
		"unauthorized", "forbidden", "too_many_requests", "overloaded"}, unfit...)
	// full: the member has no slot to give now.
	full = []api.ErrorCode{"at_capacity", "draining", "fenced"}
	// elsewhere: another member is tried, as after refusals that say that nothing was run.
	elsewhere = slices.Concat(unfit, full, []api.ErrorCode{"slot_not_found", "pool_not_found"})
)

// Try is one request to be placed.
type Try struct {
	Pool string
	// Path is "call" or "children".
	Path   string
	Accept string
	Spec   wire.Spec
	Parts  []wire.Part
	// OnPosition is called with the position in the queue of a full pool.
	OnPosition func(position int)

	// slot is one that the member granted, after the caller has waited for it.
	slot   string
	waited time.Duration
}

// admit asks one member to admit the child: the only step that can start it. It fails only when
// the member may have admitted the child, or the refusal is final.
func admit(
	ctx context.Context, client *wire.Client, member *Member, try Try,
) (Admission, error) {
	answer, err := untilAnswered(ctx, client, member, try)
	if err == nil {
		return Admission{Answer: answer, Load: loadOf(answer.Header.Get("Pool-Load"))}, nil
	}
	if ctx.Err() != nil {
		return Admission{}, context.Cause(ctx)
	}
	refusal := fault.Of(err)
	switch {
	case refusal == nil && wire.NeverSent(err):
		return Admission{Unreachable: err}, nil
	case refusal == nil:
		return Admission{}, fault.New("member_lost",
			"member %s was lost while it may have admitted the child: %v", member.Name, err).
			With(fault.Unknown).By(err)
	case refusal.Code == "at_capacity":
		return Admission{Full: true, Load: refusal.Load}, nil
	case slices.Contains(full, refusal.Code):
		return Admission{Full: true, Closed: refusal, Load: refusal.Load}, nil
	case mayTryElsewhere(refusal):
		return Admission{Unreachable: refusal, Load: refusal.Load}, nil
	}
	return Admission{}, refusal
}

// mayTryElsewhere: a code of a newer member says nothing, but a refused admission runs nothing
// unless it says otherwise.
func mayTryElsewhere(refusal *fault.Error) bool {
	if refusal.Admitted != fault.NotSaid {
		return refusal.Admitted == fault.NotAdmitted
	}
	return refusal.Retryable() || slices.Contains(elsewhere, refusal.Code) || !refusal.Code.Valid()
}

// refusalIn is the refusal in err that concerns the caller, or has a newer member's code; or nil.
func refusalIn(err error) error {
	found := fault.Of(err)
	if found != nil && (slices.Contains(aboutCaller, found.Code) || !found.Code.Valid()) {
		return found
	}
	return nil
}

// untilAnswered sends a try whose answer was lost again, to the same process: it remembers the
// request, and answers with the child that the first one started, or starts it.
func untilAnswered(
	ctx context.Context, client *wire.Client, member *Member, try Try,
) (*wire.Answer, error) {
	keys := wire.Spec{"pool": try.Pool}
	if try.slot != "" {
		keys["slot"] = try.slot
	}
	deadline := wire.NewDeadline(try.Spec.Millis("deadlineMs"))
	until := wire.NewDeadline(wire.AnswerTimeout)
	id := randomID()
	var lost error
	for attempt := 0; ; attempt++ {
		header := http.Header{}
		if member.Boot != "" {
			header.Set("Pool-Request-Id", fmt.Sprintf("%s.%s.%d", member.Boot, id, attempt))
		}
		if try.waited > 0 {
			header.Set("Pool-Waited-Ms", strconv.FormatInt(try.waited.Milliseconds(), 10))
		}
		spec := try.Spec.With(keys)
		if attempt > 0 {
			spec = spec.With(deadline.InSpec())
		}
		answer, err := client.PostSpec(ctx, wire.Post{
			URL: member.URL + "/" + try.Path, Member: member.Name, Accept: try.Accept,
			Spec: spec, Parts: try.Parts, Header: header, HeadTimeout: max(1, until.Rest()),
		})
		// A refused connection says nothing about the try before.
		if err == nil || fault.Of(err) != nil || attempt == 0 && wire.NeverSent(err) {
			return answer, err
		}
		if lost == nil {
			lost = err
		}
		pause := firstPause << attempt
		if attempt == repeats || pause >= until.Rest() || member.Boot == "" || ctx.Err() != nil {
			return nil, lost
		}
		if err := Pause(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// randomID is a UUID of version 4.
func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	digits := hex.EncodeToString(b)
	return strings.Join([]string{
		digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-")
}

// Pause waits. Its error is the cause of the context.
func Pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var integer = regexp.MustCompile(`^\s*([a-z]+)=(\d{1,15})\s*(;.*)?$`)

// loadOf is the load in a header. Keys of a newer member are skipped. Nil for anything else.
func loadOf(header string) *api.Load {
	told := map[string]int64{}
	for _, part := range strings.Split(header, ",") {
		if found := integer.FindStringSubmatch(part); found != nil {
			told[found[1]], _ = strconv.ParseInt(found[2], 10, 64)
		}
	}
	active, hasActive := told["active"]
	most, hasMax := told["max"]
	if !hasActive || !hasMax {
		return nil
	}
	return &api.Load{Active: active, Max: most, Queued: told["queued"]}
}
