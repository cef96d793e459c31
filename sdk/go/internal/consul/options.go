// Package consul lists the members of pools from Consul, by blocking queries.
package consul

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"distributed-pool/sdk/go/internal/fault"
)

// Options say how to reach a Consul agent. Only the address is required.
type Options struct {
	// Address is http://127.0.0.1:8500, https://…, or host:port, which is http.
	Address string
	// Token is an ACL token that may read the service. Default: none.
	Token string
	// Auth is user:password for HTTP basic authentication. Default: none.
	Auth string
	// CAFile is the path of a PEM file: the authority to trust. Default: the well-known ones.
	CAFile string
	// CertFile and KeyFile are PEM files: the client certificate that the agent is shown.
	CertFile, KeyFile string
	// TLSServerName is the name that the agent's certificate must carry. Default: the host.
	TLSServerName string
	// SkipVerify accepts any certificate of the agent.
	SkipVerify bool
	// Namespace is one of Consul Enterprise. Default: none.
	Namespace string
}

// isTrue takes the words that the consul command takes.
func isTrue(word string) bool {
	switch word {
	case "1", "t", "T", "true", "TRUE", "True":
		return true
	}
	return false
}

// FromEnv reads Consul's own variables, so that the pools are found where the consul command finds
// them: CONSUL_HTTP_ADDR (default 127.0.0.1:8500), CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY,
// CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_AUTH, CONSUL_CACERT, CONSUL_CLIENT_CERT,
// CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME and CONSUL_NAMESPACE. The file with the token goes
// before the token itself. It fails when that file cannot be read.
func FromEnv() (Options, error) {
	variable := func(name string) string { return os.Getenv("CONSUL_" + name) }
	options := Options{
		Address: variable("HTTP_ADDR"), Token: variable("HTTP_TOKEN"), Auth: variable("HTTP_AUTH"),
		CAFile: variable("CACERT"), CertFile: variable("CLIENT_CERT"), KeyFile: variable("CLIENT_KEY"),
		TLSServerName: variable("TLS_SERVER_NAME"), Namespace: variable("NAMESPACE"),
	}
	if options.Address == "" {
		options.Address = "127.0.0.1:8500"
	}
	if !strings.Contains(options.Address, "://") && isTrue(variable("HTTP_SSL")) {
		options.Address = "https://" + options.Address
	}
	if verify := variable("HTTP_SSL_VERIFY"); verify != "" {
		options.SkipVerify = !isTrue(verify)
	}
	if file := variable("HTTP_TOKEN_FILE"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return options, err
		}
		options.Token = strings.TrimSpace(string(text))
	}
	return options, nil
}

// agent is the way to one Consul agent.
type agent struct {
	url      string
	header   http.Header
	client   *http.Client
	hasToken bool
}

func newAgent(options Options) (*agent, error) {
	text := options.Address
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fault.New("invalid_request",
			"expected Consul's address as http://HOST:PORT or HOST:PORT; got %q", options.Address)
	}
	config, err := tlsConfig(options)
	if err != nil {
		return nil, fault.New("invalid_request", "expected PEM files for Consul: %v", err).By(err)
	}
	header := http.Header{}
	if options.Token != "" {
		header.Set("X-Consul-Token", options.Token)
	}
	if options.Namespace != "" {
		header.Set("X-Consul-Namespace", options.Namespace)
	}
	transport := &http.Transport{TLSClientConfig: config, IdleConnTimeout: 90 * time.Second}
	// A redirect would carry the token to another server.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := &http.Client{Transport: transport, CheckRedirect: stay}
	made := &agent{parsed.Scheme + "://" + parsed.Host, header, client, options.Token != ""}
	if user, password, ok := strings.Cut(options.Auth, ":"); ok {
		request := http.Request{Header: header}
		request.SetBasicAuth(user, password)
	}
	return made, nil
}

func tlsConfig(options Options) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: options.TLSServerName,
		InsecureSkipVerify: options.SkipVerify,
	}
	if options.CAFile != "" {
		text, err := os.ReadFile(options.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("no certificate in %s", options.CAFile)
		}
	}
	if options.CertFile != "" || options.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(options.CertFile, options.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
