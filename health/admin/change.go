package admin

// Change is what a request has changed, in words: from what to what. If the two are the same, nothing had to be
// changed.
type Change struct {
	What string `json:"what"`
	Was  string `json:"was"`
	Now  string `json:"now"`
}
