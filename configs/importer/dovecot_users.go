package importer

import (
	"path/filepath"
	"strings"

	"portico/configs"
)

// passwdFile takes over a passwd-file: each line has fields for one user.
func (v *dovecot) passwdFile(x, args *directive, p passdbFields) {
	if y := find(x.block, "passwd_file_path"); y != nil {
		args = y
	}
	words := []string{"%"}
	if args != nil {
		words = append(words, strings.Fields(args.value())...)
	}
	last := words[len(words)-1]
	if strings.Contains(last, "%") {
		see(x.block)
		v.decide(x, "directory", "the passdb names no single file")
		return
	}
	name := absolute(filepath.Dir(absolute(v.source.base, args.file)), last)
	text, err := v.source.load(name)
	if err != nil {
		v.decide(args, "directory", "the file cannot be read: %s", err)
		return
	}
	v.take(args, "")
	for _, word := range words[1 : len(words)-1] {
		if format, ok := strings.CutPrefix(word, "username_format="); ok && !wholeUser(format) {
			v.decide(args, "directory", "username_format: Portico looks up the whole name, then @ and the domain, "+
				"then *")
		}
	}
	v.common(p, fields{})
	all := p.with(nil)
	m := &userMap{}
	passwords := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, ":", 8)
		y := &directive{file: v.source.short(name), line: i + 1, words: parts[:1]}
		v.passwdLine(y, parts, p, m)
		passwords = passwords || len(parts) > 1 && parts[1] != ""
	}
	if key := v.writeMap(args, m); key != "" {
		v.take(args, "")
		v.origin[key] = args.place()
	}
	if all.get("pass") != "" || all.get("master") != "" {
		v.config.Directory.Verify = append(v.config.Directory.Verify, configs.Verifier{File: name})
	} else if passwords {
		v.remark(args, "directory", "without the passwords: in mode passthrough the mailbox servers verify them")
	}
}

// passwdLine takes over one line: user:password:uid:gid:gecos:home:shell:fields.
func (v *dovecot) passwdLine(y *directive, parts []string, p passdbFields, m *userMap) {
	own := fields{}
	if len(parts) == 8 {
		own.read(y, strings.Fields(parts[7]))
	}
	all := p.with(own)
	user := parts[0]
	if !mapName(user) || user[0] == '@' {
		m.decide(y, "not taken over: a map file has no such names")
		return
	}
	if m.has(y, user) {
		return
	}
	v.setLink(all)
	refuse := v.userFields(y, m, own, all)
	if len(parts) > 1 && parts[1] != "" && strings.ContainsRune("!*", rune(parts[1][0])) {
		refuse = "locked"
	}
	if refuse != "" {
		m.add(user, "refuse "+refuse)
		return
	}
	host := all.get("host")
	if host == "" || strings.Contains(host, "%") {
		m.decide(y, "not taken over: the line names no server for this user")
		return
	}
	s := v.linkedServer(y, host, all)
	if s == nil {
		m.decide(y, "not taken over: the line names no server that Portico can use")
		return
	}
	place := "database=" + v.database([]string{s.name}, false)
	if to := orDefault(all.get("destuser"), all.get("user")); mapName(to) && !strings.Contains(to, "%") {
		place += " user=" + to
	} else if to != "" && !wholeUser(to) && own.get("destuser")+own.get("user") != "" {
		m.decide(y, "the user has another name at the mailbox server, which a map file cannot have")
	}
	m.add(user, place)
}
