package protolog

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// prune deletes files that are too old or too large in total, the oldest first, and compresses finished ones. It keeps
// the current file.
func (w *writer) prune(now time.Time) {
	all, err := listFiles(w.set.Location)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			w.log.Error().Err(err).Msg("cannot list the protocol log's files")
		}
		return
	}
	sizes, total := make([]int64, len(all)), int64(0)
	var done []string
	for i, name := range all {
		path := filepath.Join(w.set.Location, name.String())
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		current := w.file != nil && name == w.name
		if !current && w.set.Age > 0 && now.Sub(info.ModTime()) > w.set.Age {
			w.remove(path)
			continue
		}
		sizes[i] = info.Size()
		total += sizes[i]
		if !name.gz && !w.isCurrent(name, i == len(all)-1, now) {
			done = append(done, path)
		}
	}
	for i, name := range all {
		if w.set.TotalSize <= 0 || total <= w.set.TotalSize {
			break
		}
		if sizes[i] > 0 && !(w.file != nil && name == w.name) {
			w.remove(filepath.Join(w.set.Location, name.String()))
			total -= sizes[i]
		}
	}
	if w.set.Compress && len(done) > 0 {
		w.packing.Store(true)
		w.packers.Go(func() {
			defer w.packing.Store(false)
			w.pack(done)
		})
	}
}

// isCurrent says whether rows are written to a file, or may be later.
func (w *writer) isCurrent(name fileName, last bool, now time.Time) bool {
	if w.file != nil {
		return name == w.name
	}
	return last && (w.set.FileSize != 0 || name.stamp >= w.set.RollOver.start(now).Format(stampForm))
}

func (w *writer) remove(path string) {
	if err := os.Remove(path); err != nil {
		w.log.Error().Err(err).Msg("cannot delete an old protocol log file")
	}
}

// pack compresses files, one after the other, in a goroutine of its own. Meanwhile prune is not called.
func (w *writer) pack(paths []string) {
	for _, path := range paths {
		if err := compress(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.log.Error().Err(err).Msg("cannot compress a protocol log file")
		}
	}
}

// compress replaces a file by a compressed one. If the program is killed meanwhile, one of the two is whole, and repair
// removes the other.
func compress(path string) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	unfinishedPath := path + compressed + unfinished
	to, err := os.OpenFile(unfinishedPath, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(unfinishedPath))
		}
	}()
	z := gzip.NewWriter(to)
	_, err = io.Copy(z, from)
	err = errors.Join(err, z.Close(), to.Sync(), to.Close())
	if err != nil {
		return err
	}
	if err := os.Chtimes(unfinishedPath, time.Time{}, info.ModTime()); err != nil { // its age is that of its rows
		return err
	}
	if err := os.Rename(unfinishedPath, path+compressed); err != nil {
		return err
	}
	return os.Remove(path)
}
