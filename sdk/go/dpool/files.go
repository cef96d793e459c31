package dpool

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"

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
	part.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file.Data)), nil }
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
