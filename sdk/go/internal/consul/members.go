package consul

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"sync"
	"time"

	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/placement"
)

// Trust says which members may be asked. Consul shows what anybody registered there, so a member
// proves by its certificate who it is, and no token goes over the network in clear.
type Trust struct {
	// HTTPSOnly: every member has to serve https.
	HTTPSOnly bool
	// Insecure: members may be asked over http beyond loopback.
	Insecure bool
}

// maxWatches bounds the pools that are watched.
const maxWatches = 1000

// Members is the trusted members in Consul, with one watch for each pool that is asked for.
type Members struct {
	agent *agent
	trust Trust
	ctx   context.Context
	close context.CancelFunc

	mutex   sync.Mutex
	watches map[string]*watch

	// rights guards asked, the last question about the rights of the token.
	rights sync.Mutex
	asked  *question
}

// question is one about the rights of the token. Its refusal is there once it is answered.
type question struct {
	at       time.Time
	answered chan struct{}
	refusal  error
}

// New asks nothing yet.
func New(options Options, trust Trust) (*Members, error) {
	agent, err := newAgent(options)
	if err != nil {
		return nil, err
	}
	members := &Members{agent: agent, trust: trust, watches: map[string]*watch{}}
	members.ctx, members.close = context.WithCancel(context.Background())
	return members, nil
}

// Close stops watching.
func (m *Members) Close() {
	m.close()
	m.agent.client.CloseIdleConnections()
}

// watch is that of a pool, or of the whole service for the empty name.
func (m *Members) watch(pool string) (*watch, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if found := m.watches[pool]; found != nil {
		return found, nil
	}
	if len(m.watches) >= maxWatches {
		return nil, fault.New("invalid_request", "expected calls to at most %d pools", maxWatches)
	}
	filter := ""
	if pool != "" {
		filter = fmt.Sprintf("%q in Service.Tags", pool)
	}
	made := newWatch(m.ctx, m.agent, filter)
	m.watches[pool] = made
	return made, nil
}

// In is the members of a pool that may admit children.
func (m *Members) In(ctx context.Context, pool string) ([]*placement.Member, error) {
	if !poolName.MatchString(pool) {
		return nil, fault.New("invalid_request", "expected a pool name; got %q", pool)
	}
	return m.passing(ctx, pool)
}

// All is the members of all pools that may admit children.
func (m *Members) All(ctx context.Context) ([]*placement.Member, error) {
	return m.passing(ctx, "")
}

func (m *Members) passing(ctx context.Context, pool string) ([]*placement.Member, error) {
	watch, err := m.watch(pool)
	if err != nil {
		return nil, err
	}
	passing, _, err := watch.list(ctx)
	if err != nil {
		return nil, err
	}
	var trusted []*placement.Member
	for _, member := range passing {
		if m.distrust(member) == nil {
			trusted = append(trusted, member)
		}
	}
	return trusted, nil
}

// Registered is all members, also those that are not trusted: an error may count them.
func (m *Members) Registered(ctx context.Context) ([]*placement.Member, error) {
	watch, err := m.watch("")
	if err != nil {
		return nil, err
	}
	_, all, err := watch.list(ctx)
	var members []*placement.Member
	for _, each := range all {
		members = append(members, each.Member)
	}
	return members, err
}

// Find is the member of this name, also while it drains. One that is not trusted is member_lost.
func (m *Members) Find(ctx context.Context, name string) (*placement.Member, error) {
	all, err := m.Registered(ctx)
	if err != nil {
		return nil, err
	}
	for _, member := range all {
		if member.Name == name {
			return member, m.distrust(member)
		}
	}
	return nil, nil
}

// Refusal asks once a second at most. Callers of the same second share the answer. No lock is held
// while Consul answers, so calls to other pools go on.
func (m *Members) Refusal(ctx context.Context) error {
	asked := m.ask()
	select {
	case <-asked.answered:
		return asked.refusal
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask is the question of this second. A caller who leaves does not end it.
func (m *Members) ask() *question {
	m.rights.Lock()
	defer m.rights.Unlock()
	if m.asked == nil || time.Since(m.asked.at) > time.Second {
		asked := &question{at: time.Now(), answered: make(chan struct{})}
		m.asked = asked
		go func() {
			defer close(asked.answered)
			asked.refusal = m.agent.refusal(m.ctx)
		}()
	}
	return m.asked
}

var loopback = regexp.MustCompile(`^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$`)

// IsReadable says whether others on the network can read what is sent to a URL.
func IsReadable(text string) bool {
	parsed, err := url.Parse(text)
	return err != nil || parsed.Scheme != "https" && !loopback.MatchString(parsed.Hostname())
}

// distrust is the reason why a member is not asked; nil for a trusted one.
func (m *Members) distrust(member *placement.Member) error {
	isSecure := member.URL[:min(6, len(member.URL))] == "https:"
	reason := ""
	switch {
	case m.trust.HTTPSOnly && !isSecure:
		reason = ", because TLS is configured"
	case !m.trust.Insecure && IsReadable(member.URL):
		reason = " or a loopback address, so that no token goes in clear; see Insecure"
	default:
		return nil
	}
	return fault.New("member_lost",
		"member %s is registered with %s, and is not asked: expected https%s",
		member.Name, member.URL, reason).With(fault.Unknown)
}
