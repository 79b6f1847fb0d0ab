// Command image writes Portico's container image: an OCI layout for several processors, and for each of these an
// archive that docker load reads. It needs no container daemon, and the same source gives the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	source := flag.String("source", "../..", "`folder` with Portico's source")
	out := flag.String("out", "", "`folder` to write the layout and the archives into; a layout that is there is replaced")
	flag.Parse()
	if err := run(*source, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(source, out string) error {
	if out == "" {
		return errors.New("name the folder by -out")
	}
	license, err := os.ReadFile(filepath.Join(source, "LICENSE"))
	if err != nil {
		return err
	}
	programs, err := os.MkdirTemp("", "portico-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(programs)
	var images []platformImage
	for _, arch := range []string{"amd64", "arm64"} {
		program := filepath.Join(programs, arch)
		if err := compile(source, arch, program); err != nil {
			return err
		}
		image, err := newImage(program, arch, license)
		if err != nil {
			return err
		}
		images = append(images, image)
	}
	lines, err := write(out, images)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(lines, "\n"))
	return nil
}

// compile builds a static program.
func compile(source, arch, program string) error {
	cmd := exec.Command("go", "build", "-buildvcs=auto", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/portico")
	cmd.Dir, cmd.Stderr = source, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build for %s: %w", arch, err)
	}
	return nil
}
