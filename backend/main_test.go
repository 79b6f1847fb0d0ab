package backend

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when a goroutine of this package outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftGoroutines(time.Now().Add(5 * time.Second)); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines left:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leftGoroutines returns the stacks of the package's goroutines, this one aside, that are still there at the deadline.
func leftGoroutines(deadline time.Time) string {
	for {
		buf := make([]byte, 1<<20)
		_, others, _ := strings.Cut(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		if !strings.Contains(others, "portico/backend.") {
			return ""
		}
		if time.Now().After(deadline) {
			return others
		}
		runtime.Gosched()
	}
}
