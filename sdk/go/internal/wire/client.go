package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"distributed-pool/sdk/go/internal/fault"
)

const (
	// AnswerTimeout is 10 seconds for the head of an answer to arrive.
	AnswerTimeout = 10 * time.Second
	// silence is a heartbeat and a half: a body that is silent for longer is lost.
	silence = 15 * time.Second
	// maxProblemBytes is 64 KiB: a longer body is no problem of the contract.
	maxProblemBytes = 64 << 10
	// maxJSONBytes is 128 MiB: more than the largest page of a listing.
	maxJSONBytes = 128 << 20
)

// The forms of an answer.
const (
	JSON   = "application/json"
	Events = "text/event-stream;lines=long"
	Bytes  = "application/octet-stream"
)

// Client sends requests of one caller.
type Client struct {
	transports    *transports
	authorization string
	closing       context.Context
	close         context.CancelFunc
}

var headerSafe = regexp.MustCompile(`^[\x21-\x7e]+$`)

// NewClient opens no connection. An empty token is none.
func NewClient(identity Identity, token string) (*Client, error) {
	if token != "" && !headerSafe.MatchString(token) {
		return nil, fault.New("invalid_request",
			"expected a token of printable characters without spaces")
	}
	transports, err := newTransports(identity)
	if err != nil {
		return nil, err
	}
	client := &Client{transports: transports}
	if token != "" {
		client.authorization = "Bearer " + token
	}
	client.closing, client.close = context.WithCancel(context.Background())
	return client, nil
}

// HasToken says whether requests carry a token.
func (c *Client) HasToken() bool { return c.authorization != "" }

// Close ends the requests that are under way, and closes the connections.
func (c *Client) Close() {
	c.close()
	c.transports.close()
}

// Request is one request to a member.
type Request struct {
	Method string
	URL    string
	// Member is the name that the member has to prove by its certificate.
	Member string
	// Accept is one of JSON, Events and Bytes.
	Accept string
	Header http.Header
	Body   *Body
	// HeadTimeout is the time for the head of the answer; 0 for no limit.
	HeadTimeout time.Duration
}

// Answer is an open answer. Its reader closes the body, which ends the request.
type Answer struct {
	*http.Response
	// OnEnd is called once, when the end of the child has been read.
	OnEnd func()
}

// TellEnd calls OnEnd, once.
func (a *Answer) TellEnd() {
	if a.OnEnd != nil {
		a.OnEnd()
		a.OnEnd = nil
	}
}

var errSilent = fmt.Errorf("nothing came for %v", silence)

// Send resolves at the head of the answer. Its error is the cause of the context; an *fault.Error
// for a redirect, which is not followed, and for an answer of another type than Accept; or that of
// the connection.
func (c *Client) Send(parent context.Context, request Request) (*Answer, error) {
	if parent.Err() != nil {
		return nil, context.Cause(parent)
	}
	ctx, cancel := context.WithCancelCause(parent)
	unlink := context.AfterFunc(c.closing, func() { cancel(errors.New("the client is closed")) })
	end := func() { unlink(); cancel(nil) }
	sent, err := http.NewRequestWithContext(ctx, request.Method, request.URL, nil)
	if err != nil {
		end()
		return nil, fault.New("invalid_request", "expected a URL; got %q", request.URL).By(err)
	}
	for name, values := range request.Header {
		sent.Header[name] = values
	}
	sent.Header.Set("Accept", request.Accept)
	if c.authorization != "" {
		sent.Header.Set("Authorization", c.authorization)
	}
	isAnswered := limitHead(sent, request, cancel)
	response, err := c.transports.of(request.Member).RoundTrip(sent)
	isAnswered()
	if err != nil {
		defer end()
		return nil, causeOf(parent, ctx, err)
	}
	body := &heard{source: response.Body, parent: parent, ctx: ctx, cancel: cancel, end: end}
	if request.Accept != Bytes || response.StatusCode >= 300 {
		body.limit = silence
	}
	response.Body = body
	if err := expected(request, response); err != nil {
		body.Close()
		return nil, err
	}
	return &Answer{Response: response}, nil
}

// limitHead adds the body, each piece of which gives the head more time. The result ends the limit.
func limitHead(
	sent *http.Request, request Request, cancel context.CancelCauseFunc,
) (isAnswered func()) {
	var timer headTimer
	if limit := request.HeadTimeout; limit > 0 {
		late := fmt.Errorf("no answer came in %v", limit)
		timer.limit = limit
		timer.timer = time.AfterFunc(limit, func() { cancel(late) })
	}
	if body := request.Body; body != nil {
		body.addTo(sent, timer.restart)
	}
	return timer.stop
}

// headTimer is the limit of the time in which nothing is sent and no head arrives.
type headTimer struct {
	mutex sync.Mutex
	limit time.Duration
	// timer is nil without a limit, and once the head has arrived.
	timer *time.Timer
}

func (h *headTimer) restart() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.timer != nil {
		h.timer.Reset(h.limit)
	}
}

func (h *headTimer) stop() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}

// causeOf is the reason why a request ended: the caller's, the client's own, or err.
func causeOf(parent, ctx context.Context, err error) error {
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	if ctx.Err() != nil && !NeverSent(err) {
		return context.Cause(ctx)
	}
	return err
}
