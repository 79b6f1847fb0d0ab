package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/configs"
	"portico/health/admin/table"
)

func newToken() *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "Make tokens for the admin API, and list those of a file",
		Long: `A token lets a program or an operator use the console, the commands and the
admin API over TCP. The file of the key admin.tokens_file has a line for each
token: its name, its right, its SHA-256 hash, and when it expires. Nobody can
get in with what the file says. Portico reads the file at a reload; to withdraw
a token, delete its line and reload.`,
	}, newTokenNew(), newTokenList())
}

func newTokenNew() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token, and print it once",
		Long: `New prints a token to standard output, and its line for admin.tokens_file to
standard error. With --file it adds the line to that file instead. The token is
stored nowhere, and nobody can print it again. Portico's log calls its holder by
NAME.`,
		Example: "  portico token new prometheus --right read --file /etc/portico/tokens > prometheus.token\n" +
			"  portico token new ann --right change --for 90.00:00:00 --file /etc/portico/tokens",
		Args: cobra.ExactArgs(1),
	}
	right := cmd.Flags().String("right", "", "`read or change`: what the holder may do")
	cmd.MarkFlagRequired("right")
	last := timeFlag(cmd, "for", 0, "`time` after which the token expires; by default it does not expire")
	file := cmd.Flags().String("file", "", "add the line to this `file` of tokens, and make the file if it is missing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		secret := configs.NewToken()
		token := configs.Token{Name: args[0], Right: configs.Right(*right), Hash: configs.HashToken(secret)}
		if cmd.Flags().Changed("for") {
			if *last <= 0 {
				return fmt.Errorf("--for %v is not in the future: leave it out for a token without an end", *last)
			}
			token.Expires = time.Now().Add(*last).UTC().Truncate(time.Second)
		}
		if err := token.Check(); err != nil {
			return err
		}
		if *file == "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: add this line to the file of admin.tokens_file, and reload:\n%s\n",
				token.Line())
		} else if err := addToken(*file, token); err != nil {
			return err
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), secret)
		return err
	}
	return cmd
}

// addToken adds a token to a file that has none of its name. A file that cannot be read as tokens stays as it is.
func addToken(path string, token configs.Token) error {
	tokens, err := configs.ReadTokens(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, other := range tokens {
		if strings.EqualFold(other.Name, token.Name) {
			return fmt.Errorf("%s has a token %s already: delete its line, or choose another name", path, other.Name)
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	line := token.Line() + "\n"
	if !endsLine(file) {
		line = "\n" + line
	}
	return errors.Join(appendWhole(file, line), file.Close())
}

// appendWhole adds a text to a file, or nothing: with half a line, Portico would refuse the whole file.
func appendWhole(file *os.File, text string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if _, err = file.WriteString(text); err != nil {
		err = errors.Join(err, file.Truncate(info.Size()))
	}
	return err
}

// endsLine reports whether a file is empty or ends with a line end.
func endsLine(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return true
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return err != nil || last[0] == '\n'
}

func newTokenList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list FILE",
		Short: "List the tokens of a file: names, rights and expiry times, not the tokens",
		Args:  cobra.ExactArgs(1),
	}
	output := outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tokens, err := configs.ReadTokens(args[0])
		if err != nil {
			return err
		}
		rows, shown := table.New("Name", "Right", "Expires"), []listedToken{}
		for _, t := range tokens {
			expires := "never"
			switch {
			case t.Expires.IsZero():
			case time.Now().Before(t.Expires):
				expires = table.Time(t.Expires)
			default:
				expires = "expired " + table.Time(t.Expires)
			}
			rows.Add(t.Name, string(t.Right), expires)
			shown = append(shown, listedToken{t.Name, t.Right, t.Expires})
		}
		return output.print(cmd, shown, rows)
	}
	return cmd
}

// listedToken is a token as JSON shows it.
type listedToken struct {
	Name    string        `json:"name"`
	Right   configs.Right `json:"right"`
	Expires time.Time     `json:"expires,omitzero"`
}
