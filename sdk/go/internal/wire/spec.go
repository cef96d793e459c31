package wire

import (
	"context"
	"maps"
	"math"
	"net/http"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
)

// Spec is a child spec as a request has it.
type Spec map[string]any

// With is the spec with other values of some keys.
func (s Spec) With(keys Spec) Spec {
	changed := maps.Clone(s)
	maps.Copy(changed, keys)
	return changed
}

// Millis is the value of a key in milliseconds; 0 without one.
func (s Spec) Millis(key string) time.Duration {
	value, _ := s[key].(int64)
	return time.Duration(value) * time.Millisecond
}

// Text is the value of a key that is a string.
func (s Spec) Text(key string) string {
	value, _ := s[key].(string)
	return value
}

// Deadline is a moment that is fixed once, and told as the rest of it.
type Deadline struct {
	at    time.Time
	isSet bool
}

// NewDeadline begins now. 0 and less is no deadline.
func NewDeadline(after time.Duration) Deadline {
	return Deadline{time.Now().Add(after), after > 0}
}

// Rest is the time that is left; more than 200 years without a deadline.
func (d Deadline) Rest() time.Duration {
	if !d.isSet {
		return math.MaxInt64
	}
	return time.Until(d.at)
}

// Passed says whether no time is left.
func (d Deadline) Passed() bool { return d.Rest() <= 0 }

// InSpec is the rest as a key of a spec; no key without a deadline.
func (d Deadline) InSpec() Spec {
	if !d.isSet {
		return nil
	}
	return Spec{"deadlineMs": max(1, int64(math.Ceil(float64(d.Rest())/1e6)))}
}

// Post is one try to be admitted.
type Post struct {
	URL, Member, Accept string
	Spec                Spec
	Parts               []Part
	Header              http.Header
	HeadTimeout         time.Duration
}

// PostSpec sends a spec. A source with a hash is named by it; a member that lacks the source has
// run nothing, and is sent the whole spec with the rest of the deadline. The error is the problem
// in the answer, or that of Send.
func (c *Client) PostSpec(ctx context.Context, post Post) (*Answer, error) {
	function, _ := post.Spec["function"].(Spec)
	deadline := NewDeadline(post.Spec.Millis("deadlineMs"))
	isNamed := function.Text("source") != "" && function.Text("hash") != ""
	// Parts may be far larger than any source, so a spec with parts is sent once, with its source.
	if !isNamed || len(post.Parts) > 0 {
		return c.post(ctx, post, post.Spec)
	}
	named := maps.Clone(function)
	delete(named, "source")
	answer, err := c.post(ctx, post, post.Spec.With(Spec{"function": named}))
	if refusal := fault.Of(err); refusal == nil || refusal.Code != api.ErrorCodeSourceUnknown {
		return answer, err
	}
	if deadline.Passed() {
		return nil, fault.New("deadline_exceeded",
			"the deadline passed before the source could be sent")
	}
	return c.post(ctx, post, post.Spec.With(deadline.InSpec()))
}

func (c *Client) post(ctx context.Context, post Post, spec Spec) (*Answer, error) {
	body, err := JSONBody(spec)
	if len(post.Parts) > 0 {
		body, err = Multipart(spec, post.Parts)
	}
	if err != nil {
		return nil, err
	}
	answer, err := c.Send(ctx, Request{
		Method: http.MethodPost, URL: post.URL, Member: post.Member, Accept: post.Accept,
		Header: post.Header, Body: body, HeadTimeout: post.HeadTimeout,
	})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, Problem(answer)
	}
	return answer, nil
}
