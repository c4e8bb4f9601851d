package cluster

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultImages are the images of Rutter's chart and of the official suite, with the
// programs in a directory as `make` leaves them.
func DefaultImages(bin string) map[string]Image {
	image := func(program, path string, uid int) Image {
		return Image{Program: filepath.Join(bin, program), Path: path, Entrypoint: []string{path}, UID: uid}
	}
	return map[string]Image{
		"rutter":     image("rutter", "/usr/local/bin/rutter", 65532),
		"envoy":      image("envoy", "/usr/local/bin/envoy", 101),
		"nats":       image("k8s/nats-server", "/usr/local/bin/nats-server", 0),
		"echo-basic": image("k8s/echo-basic", "/usr/local/bin/echo-basic", 0),
	}
}

// image finds the program of an image, whatever its registry, path and tag.
func (c *Config) image(name string) (Image, error) {
	short, _, _ := strings.Cut(name, "@")
	short = short[strings.LastIndexByte(short, '/')+1:]
	short, _, _ = strings.Cut(short, ":")
	image, found := c.Images[short]
	if !found {
		return Image{}, errors.New("no program of this machine stands for it")
	}
	dynamic, err := isDynamic(image.Program)
	if err != nil {
		return Image{}, err
	}
	if dynamic {
		image.Libraries = libraries()
	}
	return image, nil
}

// isDynamic tells whether a program needs libraries.
func isDynamic(program string) (bool, error) {
	file, err := elf.Open(program)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", program, err)
	}
	defer file.Close()
	return slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), nil
}

// libraries are the directories of this machine with libraries and what loads them.
func libraries() []string {
	return slices.DeleteFunc([]string{"/lib", "/lib64", "/usr/lib", "/usr/lib64"}, func(dir string) bool {
		_, err := os.Stat(dir)
		return err != nil
	})
}
