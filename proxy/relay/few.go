package relay

// few is bytes that are nearly always none, in the room of a pointer: there are as many as sessions.
type few struct{ kept *[]byte }

// bytes returns them; they are not to be changed.
func (f few) bytes() []byte {
	if f.kept == nil {
		return nil
	}
	return *f.kept
}

func (f few) len() int { return len(f.bytes()) }

// add appends a copy.
func (f *few) add(p []byte) {
	if f.kept == nil {
		f.kept = new([]byte)
	}
	*f.kept = append(*f.kept, p...)
}

func (f *few) drop() { f.kept = nil }
