//go:build !linux

package manifests

import "os"

func lease(*os.File) error { return errNoLease }
