package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"distributed-pool/sdk/go/internal/fault"
)

// Body is what a request sends. A body that can be opened again is one for each try.
type Body struct {
	contentType string
	// length is that of the whole body; -1 where only the end tells.
	length int64
	open   func() (io.ReadCloser, error)
}

// Part is a file, or another part of a body beside the spec.
type Part struct {
	// Name is the path of a file in the workspace, or "stdin" or "archive".
	Name string
	// Mode is the permissions as octal digits; empty for the default.
	Mode   string
	Length int64
	Open   func() (io.ReadCloser, error)
}

// JSONBody is a value as JSON.
func JSONBody(value any) (*Body, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	// A source stays readable, and its hash is that of its own characters.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fault.New("invalid_request", "expected values that JSON can carry: %v", err).By(err)
	}
	return whole(JSON, bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}

// BytesBody is a stream of bytes, which is read once and no faster than it is taken. The end of the
// context ends it, also while the source is silent.
func BytesBody(ctx context.Context, source io.Reader) *Body {
	open := func() (io.ReadCloser, error) {
		body, from := io.Pipe()
		context.AfterFunc(ctx, func() { body.CloseWithError(context.Cause(ctx)) })
		go func() {
			_, err := io.Copy(from, source)
			from.CloseWithError(err)
		}()
		return body, nil
	}
	return &Body{contentType: Bytes, length: -1, open: open}
}

func whole(contentType string, text []byte) *Body {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return &Body{contentType: contentType, length: int64(len(text)), open: open}
}

// Multipart is a spec as JSON, and the parts behind it, which are read while they are sent.
func Multipart(spec any, parts []Part) (*Body, error) {
	first, err := JSONBody(spec)
	if err != nil {
		return nil, err
	}
	digits := make([]byte, 16)
	_, _ = rand.Read(digits)
	boundary := "distributed-pool-" + hex.EncodeToString(digits)
	all := []Part{{Name: "spec", Length: first.length, Open: first.open}}
	all = append(all, parts...)
	var pieces []Part
	for index, part := range all {
		kind := "\r\ncontent-type: application/json"
		if index > 0 {
			kind = "; filename=\"file\"\r\ncontent-type: application/octet-stream"
		}
		if part.Mode != "" {
			kind += ";mode=" + part.Mode
		}
		head := fmt.Sprintf("--%s\r\ncontent-disposition: form-data; name*=UTF-8''%s%s\r\n\r\n",
			boundary, strings.ReplaceAll(url.QueryEscape(part.Name), "+", "%20"), kind)
		pieces = append(pieces, text(head), part, text("\r\n"))
	}
	pieces = append(pieces, text("--"+boundary+"--\r\n"))
	var length int64
	for _, piece := range pieces {
		length += piece.Length
	}
	open := func() (io.ReadCloser, error) { return &joined{rest: pieces}, nil }
	return &Body{"multipart/form-data; boundary=" + boundary, length, open}, nil
}

func text(content string) Part {
	body := whole("", []byte(content))
	return Part{Length: body.length, Open: body.open}
}

// joined reads parts one after the other. Each is open only while it is read.
type joined struct {
	rest []Part
	now  io.ReadCloser
	left int64
}

func (j *joined) Read(into []byte) (int, error) {
	for {
		if j.now == nil {
			if len(j.rest) == 0 {
				return 0, io.EOF
			}
			opened, err := j.rest[0].Open()
			if err != nil {
				return 0, err
			}
			// A file that grows while it is sent is cut at the size that was announced.
			j.now, j.left, j.rest = opened, j.rest[0].Length, j.rest[1:]
		}
		count, err := j.now.Read(into[:min(int64(len(into)), j.left)])
		j.left -= int64(count)
		if j.left == 0 || err == io.EOF {
			err = j.Close()
		}
		if count > 0 || err != nil {
			return count, err
		}
	}
}

func (j *joined) Close() (err error) {
	if j.now != nil {
		err = j.now.Close()
		j.now = nil
	}
	return err
}

// addTo gives the request the body. Each piece that is read calls onPiece.
func (b *Body) addTo(request *http.Request, onPiece func()) {
	open := func() (io.ReadCloser, error) {
		opened, err := b.open()
		return &watched{opened, onPiece}, err
	}
	request.Header.Set("Content-Type", b.contentType)
	request.ContentLength = b.length
	if b.length == 0 {
		request.Body = http.NoBody
		return
	}
	if b.length > 0 {
		request.GetBody = open
	}
	request.Body = &later{open: open}
}

type watched struct {
	io.ReadCloser
	onPiece func()
}

func (w *watched) Read(into []byte) (int, error) {
	count, err := w.ReadCloser.Read(into)
	w.onPiece()
	return count, err
}

// later opens a body when it is first read.
type later struct {
	open func() (io.ReadCloser, error)
	now  io.ReadCloser
}

func (l *later) Read(into []byte) (int, error) {
	if l.now == nil {
		opened, err := l.open()
		if err != nil {
			return 0, err
		}
		l.now = opened
	}
	return l.now.Read(into)
}

func (l *later) Close() error {
	if l.now == nil {
		return nil
	}
	return l.now.Close()
}

// BodyOf is the body of a request of the generated client, which is short and in memory.
func BodyOf(request *http.Request) (*Body, error) {
	if request.Body == nil {
		return nil, nil
	}
	text, err := io.ReadAll(request.Body)
	return whole(request.Header.Get("Content-Type"), text), err
}
