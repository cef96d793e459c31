// Command thumbnails sends a film to the least loaded member, where ffmpeg makes ten thumbnails of
// it, and writes them into a folder:
//
//	go run -C sdk/go ./examples/thumbnails [URL of a member] [folder]
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"distributed-pool/sdk/go/dpool"
)

const film = "../../examples/thumbnails/birds.mp4"

func main() {
	url, folder := "http://127.0.0.1:7400", "thumbnails"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if len(os.Args) > 2 {
		folder = os.Args[2]
	}
	if err := run(context.Background(), url, folder); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, folder string) error {
	pools, err := dpool.New(dpool.Options{URL: url})
	if err != nil {
		return err
	}
	defer pools.Close()
	// The filter selects every third of the 31 frames.
	spec := dpool.Command("ffmpeg", "-v", "error", "-i", "film.mp4",
		"-vf", "select='not(mod(n,3))',scale=320:-1", "-fps_mode", "passthrough",
		"-frames:v", "10", "%02d.png")
	spec.Files = map[string]dpool.File{"film.mp4": {Path: film}}
	spec.Artifacts = []string{"*.png"}
	result, err := pools.Call(ctx, "pipeline", spec)
	if err != nil {
		return err
	}
	if code := *result.ExitCode; code != 0 {
		return fmt.Errorf("ffmpeg exits with %d", code)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	for _, artifact := range result.Artifacts {
		if err := save(ctx, result.Child, artifact.Path, folder); err != nil {
			return err
		}
	}
	member, _, _ := strings.Cut(result.Child.ID, ".")
	fmt.Printf("%s made %d thumbnails in %s\n", member, len(result.Artifacts), folder)
	return nil
}

// save copies a file that the child left.
func save(ctx context.Context, child *dpool.Child, path, folder string) error {
	from, err := child.File(ctx, path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(folder, path))
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = io.Copy(to, from)
	return err
}
