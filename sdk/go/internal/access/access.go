// Package access is the way to the pools: through a member as the gateway, or to each member
// directly.
package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/consul"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
	"distributed-pool/sdk/go/internal/wire"
)

// Access is the way to the pools.
type Access interface {
	// Place is one request to be placed. A call that may have been admitted is never sent again.
	Place(ctx context.Context, try placement.Try) (*wire.Answer, error)
	// Child is the server to ask for a child: its own member, or the gateway.
	Child(ctx context.Context, id string) (Server, error)
	// Direct is the child's own member, for a stream that a gateway handed over; false where its URL
	// may not be followed.
	Direct(child api.ChildReference) (Server, bool)
	// AsksOwners says whether children are asked of their own members: then a refused connection
	// means that the child is gone with its member.
	AsksOwners() bool
	Pools(ctx context.Context) (api.PoolList, error)
	Pool(ctx context.Context, pool string) (api.Pool, error)
	Children(
		ctx context.Context, pool string, filter api.ListPoolChildrenParams,
	) (api.PoolChildList, error)
	Close()
}

// Server is a member to be asked.
type Server struct {
	URL string
	// Member is the name that it has to prove; empty for a gateway.
	Member string
	client *wire.Client
}

const (
	// placeTimeout is 30 seconds for the gateway, which may have to try many members.
	placeTimeout = 30 * time.Second
	// maxWait is a day; the member refuses a longer wait.
	maxWait = 24 * time.Hour
	// pageSize is the largest page of a listing; maxPages is a million entries.
	pageSize = 1000
	maxPages = 1000
)

var (
	poolName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	childID  = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_-]{0,62})\.[0-9a-f]{32}$`)
)

// ownerOf is the member's name in the id of a child.
func ownerOf(id string) (string, error) {
	found := childID.FindStringSubmatch(id)
	if found == nil {
		return "", fault.New("invalid_request",
			"expected a child id: a member name, a dot, 32 hexadecimal digits; got %q", id)
	}
	return found[1], nil
}

// Ask sends one request of the generated client to a server, and reads the JSON of its answer.
func Ask[T any](
	ctx context.Context, server Server, key string, send func(*api.Client) (*http.Response, error),
) (T, error) {
	generated := &api.Client{Server: server.URL + "/", Client: doer{server.client, server.Member}}
	answer, err := send(generated)
	if err != nil {
		var none T
		return none, wire.NoAnswer(ctx, server.URL, err)
	}
	value, err := wire.Decode[T](&wire.Answer{Response: answer}, key)
	return value, wire.NoAnswer(ctx, server.URL, err)
}

// doer sends the requests of the generated client with limits, and with the token.
type doer struct {
	client *wire.Client
	member string
}

func (d doer) Do(request *http.Request) (*http.Response, error) {
	body, err := wire.BodyOf(request)
	if err != nil {
		return nil, err
	}
	answer, err := d.client.Send(request.Context(), wire.Request{
		Method: request.Method, URL: request.URL.String(), Member: d.member, Accept: wire.JSON,
		Body: body, HeadTimeout: wire.AnswerTimeout,
	})
	if err != nil {
		return nil, err
	}
	return answer.Response, nil
}

// gateway is access through one member, which places and forwards.
type gateway struct {
	client *wire.Client
	server Server
}

// Gateway is access through the member at a URL.
func Gateway(client *wire.Client, text string, insecure bool) (Access, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fault.New("invalid_request",
			"expected the URL of a member, such as http://127.0.0.1:7400; got %q", text)
	}
	if client.HasToken() && !insecure && consul.IsReadable(text) {
		return nil, fault.New("invalid_request", "expected an https URL, or a loopback address, for a "+
			"request with a token; got %s; Insecure sends the token in clear", wire.Origin(text))
	}
	return &gateway{client, Server{URL: strings.TrimRight(text, "/"), client: client}}, nil
}

func (g *gateway) AsksOwners() bool { return false }
func (g *gateway) Close()           {}

func (g *gateway) Place(ctx context.Context, try placement.Try) (*wire.Answer, error) {
	if !poolName.MatchString(try.Pool) {
		return nil, fault.New("invalid_request", "expected a pool name; got %q", try.Pool)
	}
	timeout := placeTimeout
	if try.Path == "children" {
		timeout += min(max(0, try.Spec.Millis("waitMs")), maxWait)
	}
	answer, err := g.client.PostSpec(ctx, wire.Post{
		URL:    fmt.Sprintf("%s/pools/%s/%s", g.server.URL, try.Pool, try.Path),
		Accept: try.Accept, Spec: try.Spec, Parts: try.Parts, HeadTimeout: timeout,
	})
	return answer, g.unreachable(ctx, err)
}

// unreachable is the error of a request that no member received; the caller may try again.
func (g *gateway) unreachable(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && wire.NeverSent(err) {
		cause := err
		if failure := fault.Of(err); failure != nil {
			cause = errors.Unwrap(failure)
		}
		return fault.New("no_members_available", "cannot reach a member at %s: %v",
			g.server.URL, cause).By(err)
	}
	return wire.NoAnswer(ctx, g.server.URL, err)
}

func (g *gateway) Child(_ context.Context, id string) (Server, error) {
	_, err := ownerOf(id)
	return g.server, err
}

// Direct follows no URL from https to http, and sends no token in clear beyond this machine.
func (g *gateway) Direct(child api.ChildReference) (Server, bool) {
	base, found := strings.CutSuffix(child.Url, "/children/"+child.Id)
	server := Server{URL: base, client: g.client}
	isSecure := strings.HasPrefix(base, "https://")
	if !found || isSecure {
		return server, found
	}
	if !strings.HasPrefix(base, "http://") || strings.HasPrefix(g.server.URL, "https://") {
		return server, false
	}
	isNear := !consul.IsReadable(base) && !consul.IsReadable(g.server.URL)
	return server, !g.client.HasToken() || base == g.server.URL || isNear
}

func (g *gateway) Pools(ctx context.Context) (list api.PoolList, err error) {
	for range maxPages {
		page, err := Ask[api.PoolList](ctx, g.server, "pools",
			func(c *api.Client) (*http.Response, error) {
				size := int64(pageSize)
				return c.ListPools(ctx, &api.ListPoolsParams{Limit: &size, Cursor: list.NextCursor})
			})
		if err != nil {
			return list, g.unreachable(ctx, err)
		}
		list.Pools = append(list.Pools, page.Pools...)
		list.NextCursor = page.NextCursor
		if list.NextCursor == nil {
			return list, nil
		}
	}
	return list, tooLong()
}

func tooLong() error {
	return fault.New("payload_too_large", "expected a listing of at most %d pages", maxPages)
}

func (g *gateway) Pool(ctx context.Context, pool string) (api.Pool, error) {
	if !poolName.MatchString(pool) {
		return api.Pool{}, fault.New("invalid_request", "expected a pool name; got %q", pool)
	}
	info, err := Ask[api.Pool](ctx, g.server, "members",
		func(c *api.Client) (*http.Response, error) { return c.GetPool(ctx, pool) })
	return info, g.unreachable(ctx, err)
}

func (g *gateway) Children(
	ctx context.Context, pool string, filter api.ListPoolChildrenParams,
) (api.PoolChildList, error) {
	if !poolName.MatchString(pool) {
		return api.PoolChildList{}, fault.New("invalid_request", "expected a pool name; got %q", pool)
	}
	size := int64(pageSize)
	filter.Limit = &size
	list := api.PoolChildList{}
	for range maxPages {
		page, err := Ask[api.PoolChildList](ctx, g.server, "children",
			func(c *api.Client) (*http.Response, error) {
				return c.ListPoolChildren(ctx, pool, &filter)
			})
		if err != nil {
			return list, g.unreachable(ctx, err)
		}
		list.Children = append(list.Children, page.Children...)
		list.Unreachable = append(list.Unreachable, page.Unreachable...)
		filter.Cursor = page.NextCursor
		if filter.Cursor == nil {
			return list, nil
		}
	}
	return list, tooLong()
}
