package directory

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"strings"
)

// maxPassword bounds a password that is judged, in bytes, as crypt(3) does it: some hashes take time by its square.
const maxPassword = 512

// Passwd is a Verifier that reads a file of password hashes, and reads it again when it changes as File does. What
// follows a second colon is not read, so that a passwd-file of Dovecot's will do. It computes for long: put it behind
// a Bound. It is safe for concurrent use.
//
//	alice@example.org:$2y$10$...
//	bob@example.org:$argon2id$v=19$m=65536,t=3,p=1$...
//	carol@example.org:{SHA512-CRYPT}$6$...
//	dave@example.org:!
//
// A hash that begins with "!" or "*" locks the user out.
type Passwd struct {
	file watched[passwords]
	seed maphash.Seed
}

// passwords are what the file says.
type passwords struct {
	of     map[string]hash // nil for who is locked out
	hashes []hash          // all there are; those who are in no file are judged by one, for it to take as long
}

// OpenPasswd reads a file of password hashes. Mistakes, a hash that would take absurdly long among them, are errors
// with file and line, which show no hash.
func OpenPasswd(o FileOptions) (*Passwd, error) {
	p := &Passwd{seed: maphash.MakeSeed()}
	if err := p.file.open(o, parsePasswd); err != nil {
		return nil, err
	}
	return p, nil
}

// Verify implements Verifier. How long it takes does not show whether the file has the user.
func (p *Passwd) Verify(ctx context.Context, q Query) (string, error) {
	all := p.file.now(ctx)
	password := q.Password.Reveal()
	if password == "" || len(password) > maxPassword {
		return "", ErrBadCredential
	}
	h, known := all.of[q.Login]
	if h == nil {
		if n := uint64(len(all.hashes)); n > 0 {
			all.hashes[maphash.String(p.seed, q.Login)%n].matches([]byte(password))
		}
		if known {
			return "", &RefusedError{Reason: "locked in the password file"}
		}
		return "", ErrNotFound
	}
	if !h.matches([]byte(password)) {
		return "", ErrBadCredential
	}
	return q.Login, nil
}

// parsePasswd reads a file of password hashes. Errors begin with the line's number.
func parsePasswd(r io.Reader) (p passwords, err error) {
	if p.of, err = parseLines(r, parsePasswdLine); err != nil {
		return passwords{}, err
	}
	for _, h := range p.of {
		if h != nil {
			p.hashes = append(p.hashes, h)
		}
	}
	return p, nil
}

func parsePasswdLine(text string) (name string, h hash, err error) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return "", nil, nil
	}
	name, rest, ok := strings.Cut(text, ":")
	hashed, _, _ := strings.Cut(rest, ":")
	name = strings.ToLower(name)
	switch {
	case !ok || name == "":
		return name, nil, errors.New("needs a name, a colon and a hash")
	case hashed == "":
		return name, nil, errors.New("the hash is empty; write ! to lock a user out")
	case hashed[0] == '!' || hashed[0] == '*':
		return name, nil, nil
	}
	h, err = parseHash(hashed)
	return name, h, err
}
