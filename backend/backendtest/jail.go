package backendtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Some servers' packages conflict with Dovecot's and know their files by fixed paths. scripts/test-servers unpacks
// each into a folder below the user's cache. A Daemon runs in a copy of that folder, which is its root, so that
// several can run at once.

// newJailedDaemon makes a copy of an unpacked server and finds a free port. The daemon's programs are paths within the
// copy.
func newJailedDaemon(server string, program string, args ...string) (*Daemon, error) {
	if os.Geteuid() != 0 {
		return nil, &MissingError{Part: server,
			Err: errors.New("only root can start it, since it runs in a root folder of its own")}
	}
	unpacked := filepath.Join(serversFolder(), server+"-"+release())
	if _, err := os.Stat(unpacked); err != nil {
		return nil, &MissingError{Part: server, Err: fmt.Errorf("scripts/test-servers unpacks it: %w", err)}
	}
	dir, err := os.MkdirTemp(serversFolder(), "running-"+server+"-") // beside it, as hard links need
	if err != nil {
		return nil, err
	}
	d := &Daemon{Dir: dir, program: program, args: args, jailed: true}
	account, err := mailOwner()
	err = errors.Join(err, os.Chmod(dir, 0o755), linkTree(unpacked, dir))
	if err == nil {
		err = d.writeAll(map[string]string{
			"/etc/passwd": "root:x:0:0::/:/bin/false\n" +
				fmt.Sprintf("%s:x:%d:%d::/:/bin/false\n", server, account.UID, account.GID),
			"/etc/group": "root:x:0:\n" + fmt.Sprintf("mail:x:%d:%s\n", account.GID, server),
		})
	}
	ports, portErr := FreePorts(1)
	if err = errors.Join(err, portErr); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	d.Address = "127.0.0.1:" + ports[0]
	return d, nil
}

// serversFolder is where scripts/test-servers unpacks servers.
func serversFolder() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = "/root/.cache"
	}
	return filepath.Join(cache, "portico", "servers")
}

// release is the name of this system's release, such as bookworm.
func release() string {
	text, _ := os.ReadFile("/etc/os-release") // where there is none, there is no apt-get either
	_, rest, _ := strings.Cut("\n"+string(text), "\nVERSION_CODENAME=")
	name, _, _ := strings.Cut(rest, "\n")
	return cmp.Or(strings.Trim(name, `"`), "unknown")
}

// linkTree copies a folder; its files are hard links, so who wants to change one must replace it.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil || rest == "." {
			return err
		}
		copied := filepath.Join(to, rest)
		switch {
		case entry.IsDir():
			return os.Mkdir(copied, 0o755)
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, copied)
		}
		return os.Link(path, copied)
	})
}

// writeAll writes files by their paths within the daemon's root. Everybody may read them.
func (d *Daemon) writeAll(files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(d.Dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// folders makes folders by their paths within the daemon's root, for the owner of the mail.
func (d *Daemon) folders(names ...string) error {
	account, err := mailOwner()
	for _, name := range names {
		path := filepath.Join(d.Dir, name)
		if err == nil {
			err = errors.Join(os.MkdirAll(path, 0o755), account.own(path))
		}
	}
	return err
}

// fill signs in as each user who has mail and appends it.
func (d *Daemon) fill(ctx context.Context, users []User) error {
	for _, u := range users {
		if len(u.Mail) == 0 {
			continue
		}
		if err := d.append(ctx, u); err != nil {
			return fmt.Errorf("mail of %s: %w", u.Name, err)
		}
	}
	return nil
}

// append appends a user's mail by IMAP: each server has a store of its own.
func (d *Daemon) append(ctx context.Context, u User) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.Address)
	if err != nil {
		return err
	}
	client := imapclient.New(conn, nil)
	defer client.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := client.Login(u.Name, u.Password).Wait(); err != nil {
		return err
	}
	for _, m := range u.Mail {
		mailbox := cmp.Or(m.Mailbox, "INBOX")
		if !strings.EqualFold(mailbox, "INBOX") {
			_ = client.Create(mailbox, nil).Wait() // where it exists, all the better; else APPEND says so
		}
		to := client.Append(mailbox, int64(len(m.Message)), &imap.AppendOptions{Flags: m.Flags})
		_, writeErr := to.Write(m.Message)
		if err := errors.Join(writeErr, to.Close()); err != nil {
			return err
		}
		if _, err := to.Wait(); err != nil {
			return err
		}
	}
	return client.Logout().Wait()
}
