package bench

// Names lists what was measured: the rows of the report.
func (r *Report) Names() []string {
	names := make([]string, len(r.Rows))
	for i, row := range r.Rows {
		names[i] = row.Name
	}
	return names
}

// Names lists the targets that were compared.
func (c *Comparison) Names() []string {
	names := make([]string, len(c.Results))
	for i, result := range c.Results {
		names[i] = result.Name
	}
	return names
}
