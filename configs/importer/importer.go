package importer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"portico/configs"
)

// Result is what an import makes.
type Result struct {
	Config []byte // portico.yaml
	Files  []File // other files that it names
	// The number of directives that are taken over, of those without a counterpart, and of decisions to make.
	Taken, Without, Decide int
}

// File is a file beside the configuration: a secret, or a map of users.
type File struct {
	Name    string // relative to the configuration
	Content string
	Secret  bool
	From    string // the place in the source
}

// format is a kind of configuration.
type format struct {
	parse func(s *source, name string) ([]*directive, error)
	read  func(d *draft, tree []*directive) error
	more  bool // files after the first belong to the reader, which finds them in draft.extra
}

var formats = map[string]format{
	"nginx":            {parse: parseNginx, read: readNginx},
	"perdition":        {parse: parsePerdition, read: readPerdition, more: true},
	"dovecot-proxy":    {parse: parseDovecot, read: readDovecotProxy},
	"dovecot-director": {parse: parseDovecot, read: readDirector},
	"haproxy":          {parse: parseHAProxy, read: readHAProxy},
}

// Kinds lists the kinds of configurations.
func Kinds() []string {
	return []string{"nginx", "perdition", "dovecot-proxy", "dovecot-director", "haproxy"}
}

// Options say how to import.
type Options struct {
	// Servers are the addresses of mailbox servers that the source does not name, because only its directory does.
	Servers []string
}

// Import makes a configuration from files of a kind.
func Import(kind string, files []string, o Options) (*Result, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("import %s: no file is given", kind)
	}
	absolute := make([]string, len(files))
	for i, name := range files {
		var err error
		if absolute[i], err = filepath.Abs(name); err != nil {
			return nil, err
		}
	}
	return importFrom(diskSource(filepath.Dir(absolute[0])), kind, absolute, o)
}

func importFrom(s *source, kind string, files []string, o Options) (*Result, error) {
	f, ok := formats[kind]
	if !ok {
		return nil, fmt.Errorf("there is no kind %q: the kinds are %s", kind, strings.Join(Kinds(), ", "))
	}
	d := newDraft(s)
	if f.more {
		files, d.extra = files[:1], files[1:]
	}
	var tree []*directive
	for _, name := range files {
		found, err := f.parse(s, name)
		if err != nil {
			return nil, err
		}
		tree = append(tree, found...)
	}
	if len(tree) == 0 {
		return nil, fmt.Errorf("%s: there is no directive in it", s.short(files[0]))
	}
	if err := d.fill(f, tree, o); err != nil {
		return nil, fmt.Errorf("%s: %w", s.short(files[0]), err)
	}
	names := make([]string, len(files))
	for i, name := range files {
		names[i] = s.short(name)
	}
	text := d.yaml(heading(kind, names))
	if len(text) > configs.MaxFileSize {
		return nil, fmt.Errorf("%s: the configuration would have more than %d bytes, which is more than Portico reads",
			s.short(files[0]), configs.MaxFileSize)
	}
	return &Result{Config: text, Files: d.files, Taken: d.counts.taken,
		Without: d.counts.without, Decide: d.counts.decide}, nil
}

// fill takes all directives over.
func (d *draft) fill(f format, tree []*directive, o Options) (err error) {
	defer func() {
		if why := recover(); why != nil {
			many, ok := why.(tooMany)
			if !ok {
				panic(why)
			}
			err = errors.New(string(many))
		}
	}()
	if err := d.offer(o.Servers); err != nil {
		return err
	}
	if err := f.read(d, tree); err != nil {
		return err
	}
	d.settleCleartext()
	d.settleTrust()
	d.sweep(tree)
	d.complete()
	return nil
}

func heading(kind string, names []string) string {
	return fmt.Sprintf("Portico's configuration, made from %s by portico config import %s. A place behind a key is "+
		"where the key comes from. Read each comment with \"decide:\" before you start Portico, and check this file "+
		"with portico check.", strings.Join(names, ", "), kind)
}

// offer adds mailbox servers that the source does not name.
func (d *draft) offer(addresses []string) error {
	for _, address := range addresses {
		host, number, err := hostPort(address, "143")
		if err != nil {
			return fmt.Errorf("mailbox server %w", err)
		}
		tls := configs.TLSStartTLS
		if number == "993" {
			tls = configs.TLSImplicit
		}
		d.server(nil, "", host, number, tls).offered = true
	}
	return nil
}

// placeholder is the mailbox server of a configuration that would have none.
const placeholder = "mbx1.invalid"

// complete adds what Portico needs and the source does not have.
func (d *draft) complete() {
	if len(d.order) == 0 {
		d.server(nil, "mbx1", placeholder, "143", configs.TLSStartTLS)
		d.missing("mailbox_servers", "the source names no mailbox server, and mbx1.invalid stands for it: nobody can "+
			"sign in. Put the host and port of the server that holds the mail in its place, and list each one that "+
			"the directory can answer; or import again with --server ADDRESS for each")
	}
	for i, address := range d.order {
		if s := d.hosts[address]; slices.IndexFunc(d.order, func(a string) bool { return d.hosts[a] == s }) == i {
			d.settle(s)
		}
	}
	d.config.MailboxServers = make(map[string]configs.MailboxServer)
	for _, address := range d.order {
		d.config.MailboxServers[d.hosts[address].name] = d.hosts[address].MailboxServer
	}
	if len(d.config.Databases) == 0 {
		for _, address := range d.order {
			d.database([]string{d.hosts[address].name}, false)
		}
	}
	if len(d.config.Databases) > 1 && len(d.config.Directory.Sources) == 0 &&
		d.config.Routing != configs.RoutingHash {
		d.config.Routing = configs.RoutingHash
		d.missing("routing", "the source does not say which user is on which server")
	}
	if len(d.config.Listeners) == 0 {
		d.config.Listeners = []configs.Listener{{Address: "[::]:993", TLS: configs.TLSImplicit}}
		d.missing("listeners", "the source has no listener for IMAP")
	}
	tls := func(l configs.Listener) bool { return l.TLS != configs.TLSNone }
	if len(d.config.TLS.Certificates) == 0 && slices.ContainsFunc(d.config.Listeners, tls) {
		d.config.TLS.Certificates = []configs.Certificate{{Cert: "mail.crt", Key: "mail.key"}}
		d.missing("tls.certificates", "Portico ends TLS, and the source names no certificate. Give the one that "+
			"clients see now, and its key")
	}
	d.config.Health.Recovery.Mode = configs.RecoveryDryRun
	d.comment("health", "For the first days, Portico only writes down what it would do against faults. Remove this "+
		"key when you trust it (docs/install.md), and give health mailboxes (docs/health.md).")
}
