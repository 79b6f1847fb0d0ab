package relay

// rareBytes is a slice of bytes that is nearly always empty. It has the size of a pointer, because each session has
// one.
type rareBytes struct{ kept *[]byte }

// bytes returns the bytes. The caller must not change them.
func (f rareBytes) bytes() []byte {
	if f.kept == nil {
		return nil
	}
	return *f.kept
}

func (f rareBytes) len() int { return len(f.bytes()) }

// add appends a copy.
func (f *rareBytes) add(p []byte) {
	if f.kept == nil {
		f.kept = new([]byte)
	}
	*f.kept = append(*f.kept, p...)
}

func (f *rareBytes) drop() { f.kept = nil }
