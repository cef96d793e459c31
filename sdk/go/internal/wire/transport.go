// Package wire speaks HTTP to members: each wait has a limit, and a problem in an answer becomes
// an error.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"distributed-pool/sdk/go/internal/fault"
)

const (
	// connectTimeout is 2 seconds for a connection and its handshake; a slower member is away.
	connectTimeout = 2 * time.Second
	// idleTimeout is less than a member's own limit: no request goes out on a connection that
	// closes.
	idleTimeout = 10 * time.Second
	// maxTransports bounds the members of which idle connections are kept.
	maxTransports = 4096
)

// Identity is how https is spoken: the authorities to trust, and a client certificate, as PEM.
type Identity struct {
	CA, Cert, Key []byte
	// MemberDomain is behind a member's name in its certificate. Empty: a certificate is for a host.
	MemberDomain string
}

// neverSent marks errors before the request was sent.
type neverSent struct{ error }

func (e neverSent) Unwrap() error { return e.error }

// NeverSent says whether a request certainly never reached the member.
func NeverSent(err error) bool {
	var mark neverSent
	var remote *net.OpError
	return errors.As(err, &mark) ||
		errors.As(err, &remote) && remote.Op == "remote error" &&
			strings.Contains(remote.Error(), "certificate required")
}

// transports keeps connections, for each member apart where members show certificates of their
// own.
type transports struct {
	config *tls.Config
	domain string
	mutex  sync.Mutex
	byName map[string]*http.Transport
}

func newTransports(identity Identity) (*transports, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if len(identity.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(identity.CA) {
			return nil, fault.New("invalid_request", "expected CA as PEM; got no certificate in it")
		}
	}
	if len(identity.Cert)+len(identity.Key) > 0 {
		pair, err := tls.X509KeyPair(identity.Cert, identity.Key)
		if err != nil {
			return nil, fault.New("invalid_request", "expected Cert and Key as PEM: %v", err).By(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &transports{
		config: config, domain: identity.MemberDomain, byName: map[string]*http.Transport{},
	}, nil
}

// of is the transport to a member, by its name; empty for a member that is known by its URL alone.
func (t *transports) of(member string) *http.Transport {
	if t.domain == "" {
		member = ""
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if found, ok := t.byName[member]; ok {
		return found
	}
	if len(t.byName) >= maxTransports {
		for name, old := range t.byName {
			old.CloseIdleConnections()
			delete(t.byName, name)
			break
		}
	}
	made := t.make(member)
	t.byName[member] = made
	return made
}

func (t *transports) make(member string) *http.Transport {
	keepAlive := net.KeepAliveConfig{
		Enable: true, Idle: 5 * time.Second, Interval: 3 * time.Second, Count: 3,
	}
	dialer := &net.Dialer{KeepAliveConfig: keepAlive}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, neverSent{err}
		}
		return connection, nil
	}
	dialTLS := func(ctx context.Context, network, address string) (net.Conn, error) {
		config := t.config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(address)
		if member != "" {
			config.ServerName = member + "." + t.domain
		}
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		connection, err := (&tls.Dialer{NetDialer: dialer, Config: config}).
			DialContext(ctx, network, address)
		if err != nil {
			return nil, neverSent{explained(err)}
		}
		return connection, nil
	}
	return &http.Transport{
		DialContext:         dial,
		DialTLSContext:      dialTLS,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: 64,
		// A compressed stream would arrive late.
		DisableCompression: true,
	}
}

func (t *transports) close() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, each := range t.byName {
		each.CloseIdleConnections()
	}
}

// explained is the error as a person needs it.
func explained(err error) error {
	var untrusted *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("the certificate is not trusted: %w", err)
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS"):
		return fmt.Errorf("the member does not speak https; its URL begins with http://: %w", err)
	}
	return err
}
