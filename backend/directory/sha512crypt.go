package directory

import (
	"bytes"
	"crypto/sha512"
)

const cryptDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// sha512Crypt is the last part of crypt(3)'s $6$, as its specification has it (Ulrich Drepper, Unix crypt using
// SHA-256 and SHA-512).
func sha512Crypt(password, salt []byte, rounds int) []byte {
	b := sha512.Sum512(bytes.Join([][]byte{password, salt, password}, nil))
	h := sha512.New()
	h.Write(password)
	h.Write(salt)
	h.Write(stretch(b[:], len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write(b[:])
		} else {
			h.Write(password)
		}
	}
	sum := h.Sum(nil)

	long := sha512.Sum512(bytes.Repeat(password, len(password)))
	p := stretch(long[:], len(password))
	long = sha512.Sum512(bytes.Repeat(salt, 16+int(sum[0])))
	s := stretch(long[:], len(salt))
	for i := range rounds {
		h.Reset()
		first, last := sum, p
		if i&1 == 1 {
			first, last = p, sum
		}
		h.Write(first)
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		h.Write(last)
		sum = h.Sum(sum[:0])
	}
	return cryptEncode(sum)
}

// stretch repeats b to n bytes.
func stretch(b []byte, n int) []byte { return bytes.Repeat(b, n/len(b)+1)[:n] }

// cryptEncode writes 64 bytes as crypt(3) does: three at a time from three parts of the sum, which change places each
// time.
func cryptEncode(sum []byte) []byte {
	out := make([]byte, 0, 86)
	digits := func(v uint, n int) {
		for range n {
			out = append(out, cryptDigits[v&63])
			v >>= 6
		}
	}
	for i := range 21 {
		three := [...]uint{uint(sum[i]), uint(sum[i+21]), uint(sum[i+42])}
		digits(three[i%3]<<16|three[(i+1)%3]<<8|three[(i+2)%3], 4)
	}
	digits(uint(sum[63]), 2)
	return out
}
