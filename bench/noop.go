package bench

import "context"

// noop sends NOOP.
type noop struct{ resident }

func (noop) row() row { return rowOpNoop }

func (noop) operate(_ context.Context, s *session) error {
	return s.main.command(rowNoop, "", s.takeDue(), nil)
}
