package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"portico/configs/importer"
	"portico/configs/suggest"
)

// mainFile is the name of the configuration that an import writes into a folder.
const mainFile = "portico.yaml"

func newConfigImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import KIND FILE...",
		Short: "Make a configuration from that of nginx, perdition, Dovecot or HAProxy",
		Long: `Import reads the configuration of another IMAP proxy, with the files that it
includes, and writes Portico's to standard output. It changes nothing and opens
no connection. KIND is nginx, perdition, dovecot-proxy, dovecot-director or
haproxy.

Every directive is taken over, or becomes a comment with its file, line and the
reason: "no counterpart" means that Portico has no such setting, "decide" that
somebody has to decide. What weakens security is taken over only with such a
comment and by Portico's own key for it. docs/import.md lists what is taken.

Secrets, such as the password of a database, and maps of users are files beside
the configuration. With --dir, import writes all files into a new folder or an
empty one; without it, it says which files to write.

If several files are given, nginx, dovecot-proxy, dovecot-director and haproxy
read them one after the other. For perdition, the files behind perdition.conf
are its map of users.

Exit status: 0 nothing is left to decide, 1 there are comments with "decide:",
2 a file cannot be read.`,
		Example: `  portico config import nginx /etc/nginx/nginx.conf --server 10.0.0.11:143 --server 10.0.0.12:143
  portico config import perdition /etc/perdition/perdition.conf /etc/perdition/popmap
  portico config import haproxy /etc/haproxy/haproxy.cfg --dir imported`,
		Args: cobra.MinimumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return importer.Kinds(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	servers := cmd.Flags().StringArray("server", nil,
		"`address` of a mailbox server that only the directory knows (nginx's auth_http, SQL, LDAP); may be repeated")
	dir := cmd.Flags().String("dir", "", "`folder` to write all files into")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(importer.Kinds(), args[0]) {
			return errors.New(suggest.NoSuch("kind of configuration", args[0], importer.Kinds()))
		}
		result, err := importer.Import(args[0], args[1:], importer.Options{Servers: *servers})
		if err != nil {
			return fmt.Errorf("import %s: %w", args[0], err)
		}
		if err := writeImport(cmd, *dir, result); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "portico: directives: %d taken over, %d without a counterpart; %d to decide\n",
			result.Taken, result.Without, result.Decide)
		if result.Decide > 0 {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// writeImport writes what an import has made: to standard output, or into a folder.
func writeImport(cmd *cobra.Command, dir string, result *importer.Result) error {
	if dir == "" {
		if _, err := cmd.OutOrStdout().Write(result.Config); err != nil {
			return err
		}
		for _, file := range result.Files {
			what := "the users of"
			if file.Secret {
				what = "the secret at"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: write %s %s into %s beside the configuration; --dir does "+
				"it\n", what,
				visibleText(file.From), file.Name)
		}
		return nil
	}
	return writeImportFiles(cmd, dir, result)
}

// writeImportFiles writes all files into a folder that has none of them. Only their owner can read them.
func writeImportFiles(cmd *cobra.Command, dir string, result *importer.Result) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	files := append(slices.Clone(result.Files), importer.File{Name: mainFile, Content: string(result.Config)})
	for _, file := range files {
		if _, err := os.Lstat(filepath.Join(dir, file.Name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is already in %s: choose another folder for --dir", file.Name, dir)
		}
	}
	for _, file := range files {
		name := filepath.Join(dir, file.Name)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteString(file.Content)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "portico: wrote %s\n", visibleText(name))
	}
	return nil
}
