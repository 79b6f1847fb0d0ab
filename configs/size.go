package configs

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Size is a number of bytes. In the file it is a number, alone or with a unit
// of 1024 (64KB, 10MB, 1GB), or unlimited.
type Size int64

// Unlimited is no limit.
const Unlimited Size = -1

var sizeType = reflect.TypeFor[Size]()

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}}

// String returns a size in the form of the file.
func (s Size) String() string {
	if s == Unlimited {
		return "unlimited"
	}
	for _, unit := range sizeUnits {
		if s > 0 && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads the form of String, in upper or lower case, with or without a space before the unit.
func ParseSize(text string) (Size, error) {
	number, unit := strings.ToUpper(strings.TrimSpace(text)), Size(1)
	if number == "UNLIMITED" {
		return Unlimited, nil
	}
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("must be a size such as 65536, 64KB, 10MB, 1GB or unlimited, not %q", text)
	}
	return Size(n) * unit, nil
}
