package backendtest_test

import (
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// A server that is closed before it serves has nothing to serve, and that is no error.
func TestServeAfterClose(t *testing.T) {
	memory, err := backendtest.NewMemory(backendtest.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, server := range map[string]testkit.Server{"memory": memory, "sink": backendtest.NewSink(nil)} {
		if err := server.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := server.Serve(testkit.Listen(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
