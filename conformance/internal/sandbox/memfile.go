package sandbox

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// memoryFile returns a file that exists in memory alone, to be read from its start.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(content); err != nil {
		file.Close()
		return nil, err
	}
	if _, err := file.Seek(0, 0); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// readSpec is the other side: what the process inside was handed.
func readSpec() (*Spec, error) {
	file := os.NewFile(specFD, "container")
	defer file.Close()
	spec := new(Spec)
	if err := json.NewDecoder(file).Decode(spec); err != nil {
		return nil, fmt.Errorf("read the container: %w", err)
	}
	return spec, nil
}
