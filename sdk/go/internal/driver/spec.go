package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"distributed-pool/sdk/go/dpool"
)

// spec is a child spec of the contract, as JSON.
type spec json.RawMessage

func (s *spec) UnmarshalJSON(text []byte) error {
	*s = spec(bytes.Clone(text))
	return nil
}

// content is text or bytes: a string, or an object with `text`, `base64`, `url` or `open`.
type content struct {
	Text   string
	Base64 []byte
	URL    string
	Mode   string
	Open   *bool
}

func (c *content) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, &c.Text)
	}
	type plain content
	return json.Unmarshal(text, (*plain)(c))
}

func (c *content) bytes() []byte {
	if c.Base64 != nil {
		return c.Base64
	}
	return []byte(c.Text)
}

func (c *content) file() dpool.File {
	if c.URL != "" {
		return dpool.File{URL: c.URL, Mode: c.Mode}
	}
	return dpool.File{Data: c.bytes(), Mode: c.Mode}
}

// work is the spec as a program of Go writes it.
func (s spec) work(retries int) (dpool.Spec, error) {
	if s == nil {
		return dpool.Spec{}, nil
	}
	var keys struct {
		dpool.Spec
		WaitMs, DeadlineMs int64
		Stdin              *content
		Files              map[string]*content
		Archive            *content
	}
	decoder := json.NewDecoder(bytes.NewReader(s))
	// Numbers in arguments stay as they are.
	decoder.UseNumber()
	if err := decoder.Decode(&keys); err != nil {
		return dpool.Spec{}, fmt.Errorf("expected a child spec: %w", err)
	}
	work := keys.Spec
	work.Retries = retries
	work.Wait = time.Duration(keys.WaitMs) * time.Millisecond
	work.Deadline = time.Duration(keys.DeadlineMs) * time.Millisecond
	if keys.Stdin != nil {
		work.Stdin = strings.NewReader(string(keys.Stdin.bytes()))
		if keys.Stdin.Open != nil && *keys.Stdin.Open {
			work.Stdin = dpool.Open
		}
	}
	for name, file := range keys.Files {
		if work.Files == nil {
			work.Files = map[string]dpool.File{}
		}
		work.Files[name] = file.file()
	}
	if keys.Archive != nil {
		archive := keys.Archive.file()
		work.Archive = &archive
	}
	return work, nil
}
