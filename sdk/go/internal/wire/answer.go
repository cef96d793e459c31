package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"distributed-pool/sdk/go/internal/fault"
)

// heard is a body that is lost after a time without a byte, while somebody reads it.
type heard struct {
	source      io.ReadCloser
	parent, ctx context.Context
	cancel      context.CancelCauseFunc
	end         func()
	limit       time.Duration
}

func (h *heard) Read(into []byte) (int, error) {
	if h.limit > 0 {
		timer := time.AfterFunc(h.limit, func() { h.cancel(errSilent) })
		defer timer.Stop()
	}
	count, err := h.source.Read(into)
	if err != nil && err != io.EOF {
		err = causeOf(h.parent, h.ctx, err)
	}
	return count, err
}

// lastBytes is 10 ms for the end of a body behind its last event.
const lastBytes = 10 * time.Millisecond

// Finish closes the body of a stream behind its last event. A body that ends at once frees its
// connection for the next request.
func (a *Answer) Finish() {
	if body, ok := a.Body.(*heard); ok {
		timer := time.AfterFunc(lastBytes, func() { body.cancel(errSilent) })
		defer timer.Stop()
	}
	_, _ = a.Body.Read(make([]byte, 1))
	a.Body.Close()
}

func (h *heard) Close() error {
	h.end()
	return h.source.Close()
}

// expected refuses redirects, which would carry the token elsewhere, and answers of other
// programs.
func expected(request Request, response *http.Response) error {
	status := response.StatusCode
	if status >= 300 && status < 400 {
		return fault.New("invalid_request", "expected the URL of a member; %s redirects to %q",
			Origin(request.URL), response.Header.Get("Location"))
	}
	if status >= 300 || status == http.StatusNoContent || request.Accept == Bytes {
		return nil
	}
	got, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	wanted, _, _ := mime.ParseMediaType(request.Accept)
	if got == wanted && status >= 200 {
		return nil
	}
	return fault.New("member_lost", "expected %s of a member; got %s", wanted, formOf(response)).
		With(fault.Unknown)
}

func formOf(response *http.Response) string {
	return fmt.Sprintf("HTTP %d with %q", response.StatusCode, response.Header.Get("Content-Type"))
}

// Origin is the scheme, host and port of a URL.
func Origin(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return text
	}
	return parsed.Scheme + "://" + parsed.Host
}

// Problem reads the error that an answer of 400 or more carries, and closes it.
func Problem(answer *Answer) error {
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxProblemBytes))
	if err != nil && len(text) == 0 {
		return err
	}
	if problem, ok := fault.Parse(text); ok {
		problem.RetryAfter = pauseOf(answer.Header.Get("Retry-After"))
		return problem
	}
	return fault.New("member_lost", "expected a problem of distributed-pool; got %s: %s",
		formOf(answer.Response), bytes.ToValidUTF8(text[:min(len(text), 200)], nil)).
		With(fault.Unknown)
}

// pauseOf reads Retry-After: seconds, or a date.
func pauseOf(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, time.Until(at))
}

// Decode reads the JSON of an answer, or its problem, and closes it. A key is one that the JSON
// has.
func Decode[T any](answer *Answer, key string) (value T, err error) {
	if answer.StatusCode >= 400 {
		return value, Problem(answer)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxJSONBytes))
	if err != nil {
		return value, err
	}
	var keys map[string]json.RawMessage
	if key != "" && (json.Unmarshal(text, &keys) != nil || keys[key] == nil) {
		return value, fmt.Errorf("expected JSON with %s; got %.200q", key, text)
	}
	return value, json.Unmarshal(text, &value)
}

// NoAnswer is the error of a request that may have reached the member. Errors that say more stay.
func NoAnswer(ctx context.Context, url string, err error) error {
	if err == nil || ctx.Err() != nil || fault.Of(err) != nil {
		return err
	}
	return fault.New("member_lost", "no answer from %s: %v", Origin(url), err).
		With(fault.Unknown).By(err)
}
