package node

import (
	"fmt"

	"portico/configs"
	"portico/configs/applied"
)

// choice is the configuration that a start takes.
type choice struct {
	configVersion
	file []byte // the text of the operators' file
	kept *applied.Log
	note string // what to log, "" if the configuration is the file's
	lost error  // why the list of configurations cannot be read
}

// choose chooses what a start takes: the configuration applied last, unless the file was edited since.
func choose(file string) (c choice, err error) {
	if c.file, err = configs.Read(file); err != nil {
		return c, err
	}
	c.kept, c.lost = applied.Open(configs.DataDirOf(file, c.file))
	c.text = c.file
	if decided, _ := c.kept.Decided(c.file); decided {
		record, _ := c.kept.Record(c.kept.Current())
		text, err := c.kept.Text(record.Number)
		switch {
		case err != nil:
			c.lost = err
		case string(text) != string(c.file):
			c.number, c.text = record.Number, text
			c.note = fmt.Sprintf("a start takes configuration %d, applied at %s by %s, and not the file: the file has "+
				"not been edited since. portico config diff compares them", record.Number,
				record.Time.UTC().Format("2006-01-02 15:04:05Z"), record.Who)
			file += fmt.Sprintf(" (configuration %d)", record.Number)
		}
	}
	c.config, err = configs.LoadText(file, c.text)
	return c, err
}
