package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unfinished ends the names of files that ReplaceFile has not yet renamed.
const unfinished = ".new"

// ReplaceFile replaces a file with text, completely and durably, or changes nothing. Only its owner may read it.
func ReplaceFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, filepath.Base(path)+".*"+unfinished) // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = giveToOwner(file.Name())
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// removeUnfinished removes files of processes that were killed while they replaced a file.
func removeUnfinished(dir string) {
	entries, _ := os.ReadDir(dir) // files that it cannot list stay
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "portico") && strings.HasSuffix(e.Name(), unfinished) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
