// Package applied keeps the configurations that a Portico has applied: the last twenty, with who applied each and what
// became of it. It also knows which one a start takes. The file that operators edit is theirs: this package never
// writes it. It remembers by a hash which text of the file has been decided on, so that a start takes an edited file,
// and not one that was withdrawn.
package applied

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"portico/configs/store"
)

// Folder is the folder below data_dir.
const Folder = "configurations"

// Most is how many configurations are kept.
const Most = 20

// Result is what became of a configuration.
type Result string

// The results.
const (
	Started      Result = "started"       // a start took it from the file
	Watched      Result = "watched"       // it is in force, and is withdrawn if the probes get worse
	Applied      Result = "applied"       // it is in force, or was until the next one
	Withdrawn    Result = "withdrawn"     // the probes got worse, so the one before was put back
	NotWithdrawn Result = "not withdrawn" // the probes got worse, but the one before could not be put back
	Replaced     Result = "replaced"      // another one was applied while it was watched
	Refused      Result = "refused"       // it was never in force
	Interrupted  Result = "interrupted"   // the process ended while it was watched
)

// Record is a configuration that was applied, or refused.
type Record struct {
	Number int       `json:"number"`
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	From   string    `json:"from"` // the file, or the number of an earlier configuration
	Result Result    `json:"result"`
	Reason string    `json:"reason,omitempty"`
	Hash   string    `json:"sha256"`            // of the text
	BackTo int       `json:"back_to,omitempty"` // number of the earlier configuration that a rollback went back to
}

// Log is the list of configurations in a folder. It is safe for concurrent use by one process.
type Log struct {
	dir string

	mu sync.Mutex
	index
}

// index is the file that lists the configurations.
type index struct {
	Records []Record `json:"records"` // in the order of their numbers
	Current int      `json:"current"` // the one that a start takes, unless the file is another than File
	File    string   `json:"file"`    // hash of the operators' file that was decided on last
	Refused bool     `json:"refused"` // that file was refused
}

// Open reads the list in a data folder. If it is damaged, Open returns an empty one too, which the next change writes.
func Open(dataDir string) (*Log, error) {
	l := &Log{dir: filepath.Join(dataDir, Folder)}
	text, err := os.ReadFile(l.indexPath())
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	if l.index, err = decode(text); err != nil {
		return l, fmt.Errorf("%s: %w", l.indexPath(), err)
	}
	return l, nil
}

func (l *Log) indexPath() string { return filepath.Join(l.dir, "index") }

func (l *Log) textPath(number int) string { return filepath.Join(l.dir, strconv.Itoa(number)+".yaml") }

// errDamaged says that a file is not as it was written.
var errDamaged = errors.New("damaged: it is not what Portico wrote")

// decode reads an index: a hash of the rest in the first line, and JSON.
func decode(text []byte) (i index, err error) {
	sum, body, _ := bytes.Cut(text, []byte("\n"))
	if string(sum) != hash(body) {
		return i, errDamaged
	}
	return i, json.Unmarshal(body, &i)
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Records lists the configurations, the latest first.
func (l *Log) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.index.Records)
	slices.Reverse(all)
	return all
}

// Record returns the configuration of a number.
func (l *Log) Record(number int) (Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(number)
}

func (l *Log) find(number int) (Record, bool) {
	for _, r := range l.index.Records {
		if r.Number == number {
			return r, true
		}
	}
	return Record{}, false
}

// Text returns the text of a configuration.
func (l *Log) Text(number int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	record, ok := l.find(number)
	if !ok {
		return nil, fmt.Errorf("there is no configuration %d", number)
	}
	text, err := os.ReadFile(l.textPath(number))
	if err == nil && hash(text) != record.Hash {
		err = fmt.Errorf("%s: %w", l.textPath(number), errDamaged)
	}
	return text, err
}

// Current is the number of the configuration that a start takes if the file has not been edited; 0 for none.
func (l *Log) Current() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Current
}

// Decided says that a text of the operators' file has been decided on: a start takes Current instead. refused says that
// it has never been in force, so it is worth another try.
func (l *Log) Decided(file []byte) (decided, refused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.Current != 0 && l.index.File == hash(file), l.index.Refused
}

// Begin adds a configuration that is to be put in force. A start takes the one before until End is called. file is the
// text of the operators' file.
func (l *Log) Begin(r Record, text, file []byte) (number int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.index
	next.File, next.Refused = hash(file), false
	return l.add(next, r, text)
}

// End records what became of a configuration. From now on a start takes the one with the number current.
func (l *Log) End(number int, result Result, reason string, current int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.index
	next.Records, next.Current = slices.Clone(next.Records), current
	if result == Refused {
		next.Refused = true
	}
	for i := range next.Records {
		if r := &next.Records[i]; r.Number == number {
			r.Result, r.Reason = result, reason
		}
	}
	return l.write(next)
}

// Start records that a process has started with a text, and that file is the text of the operators' file. It adds
// the text if it is not the current one.
func (l *Log) Start(r Record, text, file []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.index
	next.Records = slices.Clone(next.Records)
	for i := range next.Records {
		if r := &next.Records[i]; r.Result == Watched {
			r.Result = Interrupted
		}
	}
	if current, ok := l.find(next.Current); ok && current.Hash == hash(text) {
		if next.File != hash(file) {
			next.File, next.Refused = hash(file), false
		}
		return l.write(next)
	}
	next.File, next.Refused, next.Current = hash(file), false, next.last()+1
	_, err := l.add(next, r, text)
	return err
}

func (i index) last() int {
	if len(i.Records) == 0 {
		return 0
	}
	return i.Records[len(i.Records)-1].Number
}

// add adds a configuration to an index, and writes both. The caller holds mu.
func (l *Log) add(next index, r Record, text []byte) (number int, err error) {
	r.Number, r.Hash, r.Time = next.last()+1, hash(text), r.Time.UTC()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return 0, err
	}
	if err := store.ReplaceFile(l.textPath(r.Number), text); err != nil {
		return 0, err
	}
	next.Records = append(slices.Clone(next.Records), r)
	dropped := next.drop()
	if err := l.write(next); err != nil {
		return 0, err
	}
	for _, number := range dropped {
		os.Remove(l.textPath(number)) // one that stays is replaced or ignored
	}
	return r.Number, nil
}

// drop drops what is too much: refused ones first, then the oldest, but never the current one nor the last.
func (i *index) drop() (dropped []int) {
	for len(i.Records) > Most {
		before := i.Records[:len(i.Records)-1]
		at := slices.IndexFunc(before, func(r Record) bool { return r.Result == Refused && r.Number != i.Current })
		if at < 0 {
			at = slices.IndexFunc(before, func(r Record) bool { return r.Number != i.Current })
		}
		dropped = append(dropped, i.Records[at].Number)
		i.Records = slices.Delete(i.Records, at, at+1)
	}
	return dropped
}

// write replaces the index on disk, or nothing. The caller holds mu.
func (l *Log) write(next index) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	body, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return err
	}
	if err := store.ReplaceFile(l.indexPath(), append([]byte(hash(body)+"\n"), body...)); err != nil {
		return err
	}
	l.index = next
	return nil
}
