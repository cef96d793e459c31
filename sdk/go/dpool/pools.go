// Package dpool calls functions and commands on the least loaded machine of a pool.
//
//	pools, err := dpool.New(dpool.Options{URL: "http://127.0.0.1:7400"})
//	if err != nil {
//		return err
//	}
//	defer pools.Close()
//	add := dpool.Source("python", "lambda a, b: a + b", 1211, 1)
//	sum, err := dpool.Value[int](pools.Call(ctx, "pipeline", add))
//
// A Go function cannot travel, so functions go by their source, or by the name of a task that the
// operator installed.
package dpool

//go:generate go run -C .. ./internal/generate

import (
	"context"
	"io"
	"os"
	"sync"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/access"
	"distributed-pool/sdk/go/internal/consul"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

// ConsulOptions say how to reach a Consul agent.
type ConsulOptions = consul.Options

// ConsulFromEnv reads CONSUL_HTTP_ADDR and its family.
//
//	consul, err := dpool.ConsulFromEnv()
//	pools, err := dpool.New(dpool.Options{Consul: &consul})
func ConsulFromEnv() (ConsulOptions, error) { return consul.FromEnv() }

// Options are the way to the pools, and who is calling. Exactly one of URL and Consul is set.
type Options struct {
	// URL is that of one member, the gateway, which places and forwards.
	URL string
	// Consul: this process watches Consul and asks the members itself, which saves one hop.
	Consul *ConsulOptions
	// Token is sent to members as a bearer token. Default: none.
	Token string
	// Insecure sends the token also over http beyond loopback, where others can read it.
	Insecure bool
	// CA is the authorities to trust, as PEM. Default: the well-known ones.
	CA []byte
	// Cert and Key are the client certificate for members that ask for one, as PEM.
	Cert, Key []byte
	// MemberDomain: with Consul, a member NAME that serves https has to show a certificate for
	// NAME.MemberDomain. Default: distributed-pool.
	MemberDomain string
	// Stdout and Stderr receive the output of calls. Default: those of this process. io.Discard
	// drops it.
	Stdout, Stderr io.Writer
}

// Pools are pools of machines, found through any one member or through Consul. It is safe for
// concurrent use.
type Pools struct {
	client         *wire.Client
	access         access.Access
	stdout, stderr io.Writer
}

// New opens no connection; the first request does. It fails with invalid_request for options that
// make no sense.
//
//	pools, err := dpool.New(dpool.Options{URL: "https://m1.example:7400", Token: token, CA: pem})
func New(options Options) (*Pools, error) {
	if (options.URL == "") == (options.Consul == nil) {
		return nil, fault.New("invalid_request", "expected exactly one of URL, Consul")
	}
	identity := wire.Identity{CA: options.CA, Cert: options.Cert, Key: options.Key}
	if options.Consul != nil {
		identity.MemberDomain = options.MemberDomain
		if identity.MemberDomain == "" {
			identity.MemberDomain = "distributed-pool"
		}
	}
	client, err := wire.NewClient(identity, options.Token)
	if err != nil {
		return nil, err
	}
	way, err := accessOf(client, options)
	if err != nil {
		return nil, err
	}
	pools := &Pools{client, way, &shared{to: os.Stdout}, &shared{to: os.Stderr}}
	if options.Stdout != nil {
		pools.stdout = &shared{to: options.Stdout}
	}
	if options.Stderr != nil {
		pools.stderr = &shared{to: options.Stderr}
	}
	return pools, nil
}

// shared takes the output of several calls at a time, one piece after the other.
type shared struct {
	mutex sync.Mutex
	to    io.Writer
}

func (s *shared) Write(from []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.to.Write(from)
}

func accessOf(client *wire.Client, options Options) (access.Access, error) {
	if options.Consul == nil {
		return access.Gateway(client, options.URL, options.Insecure)
	}
	members, err := consul.New(*options.Consul, consul.Trust{
		HTTPSOnly: len(options.CA)+len(options.Cert) > 0,
		Insecure:  options.Insecure || options.Token == "",
	})
	if err != nil {
		return nil, err
	}
	return access.Direct(client, members), nil
}

// Close closes the connections and the watch. Calls that are under way end with member_lost.
func (p *Pools) Close() {
	p.access.Close()
	p.client.Close()
}

// Pools lists the pools that have members.
func (p *Pools) Pools(ctx context.Context) ([]api.PoolSummary, error) {
	list, err := p.access.Pools(ctx)
	return list.Pools, err
}

// Pool is a pool's members with their loads, its tasks and its runtimes. It fails with
// pool_not_found.
func (p *Pools) Pool(ctx context.Context, pool string) (api.Pool, error) {
	return p.access.Pool(ctx, pool)
}

// ChildrenFilter selects children. The zero value selects all.
type ChildrenFilter struct {
	// Labels are those that a child has to carry, each as NAME=VALUE, or NAME for any value.
	Labels []string
	// Status is running, stopping or ended. Default: all.
	Status api.ChildStatus
}

// Children lists a pool's children on all its members. A child that has ended is listed while it is
// remembered. It fails with pool_not_found, and with invalid_request for a status that is none.
//
//	nightly := dpool.ChildrenFilter{Labels: []string{"job=nightly"}, Status: "running"}
//	list, err := pools.Children(ctx, "pipeline", nightly)
func (p *Pools) Children(
	ctx context.Context, pool string, filter ...ChildrenFilter,
) (api.PoolChildList, error) {
	params := api.ListPoolChildrenParams{}
	for _, each := range filter {
		params = api.ListPoolChildrenParams{}
		if len(each.Labels) > 0 {
			params.Label = &each.Labels
		}
		if each.Status != "" {
			params.Status = &each.Status
		}
	}
	return p.access.Children(ctx, pool, params)
}
