package wire

import "bytes"

// Extensions are the parts of a server's capability list that decide where a command may have a literal.
type Extensions uint16

// The extensions.
const (
	LiteralPlus  Extensions = 1 << iota // non-synchronising literals of any size (RFC 7888)
	LiteralMinus                        // those of at most MaxLiteralMinus bytes
	MultiAppend                         // RFC 3502
	Catenate                            // RFC 4469
	Binary                              // RFC 3516: a message may be a ~{n} literal
	Sort                                // RFC 5256
	Thread
	Metadata // RFC 5464
	Quota    // RFC 9208
	ACL      // RFC 4314
	ID       // RFC 2971
	Move     // RFC 6851
	Notify   // RFC 5465
	URLAuth  // RFC 4467
)

// MaxLiteralMinus is the largest non-synchronising literal that a server with LITERAL- takes, in bytes.
const MaxLiteralMinus = 4096

var extensionNames = []struct {
	name string
	is   Extensions
}{
	{"LITERAL+", LiteralPlus}, {"LITERAL-", LiteralMinus}, {"MULTIAPPEND", MultiAppend}, {"CATENATE", Catenate},
	{"BINARY", Binary},
	{"METADATA", Metadata}, {"QUOTA", Quota}, {"ACL", ACL}, {"ID", ID}, {"MOVE", Move}, {"NOTIFY", Notify},
	{"URLAUTH", URLAuth},
	{"SORT", Sort}, {"THREAD=REFERENCES", Thread}, {"THREAD=ORDEREDSUBJECT", Thread}, {"THREAD=REFS", Thread},
}

// TakesNonSync says whether the server takes a non-synchronising literal of size bytes.
func (e Extensions) TakesNonSync(size int64) bool {
	return e&LiteralPlus != 0 || e&LiteralMinus != 0 && size <= MaxLiteralMinus
}

// ListedExtensions returns the extensions in a whole line that holds a capability list, as AppendFilteredCapabilities
// takes it.
func ListedExtensions(line []byte) (e Extensions) {
	start, end := capabilityList(line)
	for list := line[start:end]; len(list) > 0; {
		var name []byte
		name, list, _ = bytes.Cut(list, []byte(" "))
		e |= extension(name)
	}
	return e
}

func extension(name []byte) Extensions {
	for _, x := range extensionNames {
		if equalFold(name, x.name) {
			return x.is
		}
	}
	return 0
}
