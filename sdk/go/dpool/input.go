package dpool

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"os"
	"strconv"
	"strings"

	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
	"distributed-pool/sdk/go/internal/wire"
)

// File is one for the child: Data, a Path of this machine, or a URL that the member fetches.
type File struct {
	Data []byte
	// Path is a file of this machine, which is read while it is sent. It stays executable.
	Path string
	// URL is fetched by the member, if the pool's operator allows it.
	URL string
	// Mode is the permissions as octal digits, such as "755". Default: "644".
	Mode string
}

// smallFile is 64 KiB: Data that is no longer goes in the spec, so that one request has it all.
const smallFile = 64 << 10

func (r *request) addFiles(spec Spec) error {
	small := wire.Spec{}
	for name, file := range spec.Files {
		isPart := name == "spec" || name == "stdin" || name == "archive"
		if inSpec := file.inSpec(); inSpec != nil {
			small[name] = inSpec
		} else if isPart {
			return fault.New("invalid_request",
				"Files: expected at most %d bytes for a file called %s", smallFile, name)
		} else if err := r.addPart(name, file); err != nil {
			return err
		}
	}
	if len(small) > 0 {
		r.spec["files"] = small
	}
	if spec.Archive == nil {
		return nil
	}
	if inSpec := spec.Archive.inSpec(); inSpec != nil {
		r.spec["archive"] = inSpec
		return nil
	}
	return r.addPart("archive", *spec.Archive)
}

// inSpec is the file as the spec has it; nil for one that travels beside the spec.
func (f File) inSpec() wire.Spec {
	made := wire.Spec{}
	switch {
	case f.URL != "":
		made["url"] = f.URL
	case f.Path == "" && len(f.Data) <= smallFile:
		made["base64"] = base64.StdEncoding.EncodeToString(f.Data)
	default:
		return nil
	}
	if f.Mode != "" {
		made["mode"] = f.Mode
	}
	return made
}

// addPart adds a file that is read while it is sent.
func (r *request) addPart(name string, file File) error {
	part := wire.Part{Name: name, Mode: file.Mode, Length: int64(len(file.Data))}
	part.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(file.Data)), nil
	}
	if file.Path != "" {
		found, err := os.Stat(file.Path)
		if err != nil {
			return fault.New("invalid_request", "Files: %q: %v", name, err).By(err)
		}
		if !found.Mode().IsRegular() {
			return fault.New("invalid_request", "Files: %q: expected a file; %s is something else",
				name, file.Path)
		}
		if part.Mode == "" && found.Mode()&0o100 != 0 && name != "archive" {
			part.Mode = "755"
		}
		part.Length = found.Size()
		part.Open = func() (io.ReadCloser, error) { return os.Open(file.Path) }
	}
	r.parts = append(r.parts, part)
	return nil
}

// smallInput is 64 KiB: an input that is in memory and no longer goes along with the spec.
const smallInput = 64 << 10

// Open is a Stdin that takes input while the child runs, by Child.Stdin.
var Open io.Reader = openInput{}

type openInput struct{}

func (openInput) Read([]byte) (int, error) { return 0, io.EOF }

// addInput sends a short input along, and leaves a longer one for a request of its own.
func (r *request) addInput(stdin io.Reader, isPlaced bool) error {
	if stdin == nil {
		return nil
	}
	if stdin == Open {
		r.spec["stdin"] = wire.Spec{"open": true}
		return nil
	}
	if sized, ok := stdin.(interface{ Len() int }); ok && sized.Len() <= smallInput {
		content, err := io.ReadAll(stdin)
		if err != nil {
			return err
		}
		r.spec["stdin"] = wire.Spec{"base64": base64.StdEncoding.EncodeToString(content)}
		return nil
	}
	if isPlaced {
		return fault.New("invalid_request",
			"Stdin: expected no stream for a placed child: Child.Stdin takes one")
	}
	r.spec["stdin"] = wire.Spec{"open": true, "once": true}
	r.input = stdin
	return nil
}

// Stdin writes to the child's input, one Write after the other, and no faster than the child
// reads. Close ends the input. The input of a placed child is open, and that of a call with Open.
// Writes fail with stdin_closed when the child takes no more.
//
//	input := child.Stdin(ctx)
//	fmt.Fprintln(input, "hello")
//	input.Close()
func (c *Child) Stdin(ctx context.Context) *Stdin { return &Stdin{ctx, c} }

// Stdin is the input of a child, which implements io.WriteCloser and io.ReaderFrom.
type Stdin struct {
	ctx   context.Context
	child *Child
}

// Write sends the bytes in one request.
func (s *Stdin) Write(from []byte) (int, error) {
	count, err := s.child.write(s.ctx, strings.NewReader(string(from)), false)
	return int(count), err
}

// ReadFrom sends a whole stream in one request. The end of the context ends it at once; a Read of
// the source that blocks is left to itself, and what it still gives is lost.
func (s *Stdin) ReadFrom(source io.Reader) (int64, error) {
	return s.child.write(s.ctx, source, false)
}

// Close ends the input.
func (s *Stdin) Close() error {
	_, err := s.child.write(s.ctx, strings.NewReader(""), true)
	return err
}

// write sends a stream. The child may leave it unread for as long as it lives, so there is no
// limit.
func (c *Child) write(ctx context.Context, source io.Reader, end bool) (int64, error) {
	// An answer may come before the end of the source, which is read no further then.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := c.pools.access.Child(ctx, c.ID)
	if err != nil {
		return 0, err
	}
	answer, err := c.pools.client.Send(ctx, wire.Request{
		Method: "POST", Member: server.Member, Accept: wire.JSON, Body: wire.BytesBody(ctx, source),
		URL: server.URL + "/children/" + c.ID + "/stdin?end=" + strconv.FormatBool(end),
	})
	if err != nil {
		return 0, wire.NoAnswer(ctx, server.URL, err)
	}
	written, err := wire.Decode[api.Written](answer, "bytes")
	return written.Bytes, wire.NoAnswer(ctx, server.URL, err)
}
