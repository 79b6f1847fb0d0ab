package importer

import (
	"fmt"
	"path/filepath"
	"strings"

	"portico/configs"
)

// argsFile parses the file that the args of a passdb name. It returns nil after a decision.
func (v *dovecot) argsFile(x, args *directive) []*directive {
	if args == nil {
		v.decide(x, "directory", "the passdb names no file")
		return nil
	}
	words := strings.Fields(args.value())
	if len(words) == 0 {
		v.decide(x, "directory", "the passdb names no file")
		return nil
	}
	name := absolute(filepath.Dir(absolute(v.source.base, args.file)), words[len(words)-1])
	block, err := parseDovecot(v.source, name)
	if err != nil {
		v.decide(args, "directory", "the file cannot be read: %s", err)
		return nil
	}
	v.take(args, "")
	v.overridden(block)
	args.block = block // sweep looks at them too
	return block
}

// sql takes over a passdb that asks an SQL database.
func (v *dovecot) sql(x, args *directive, p passdbFields) {
	var db database
	var asks *directive
	if asks = find(x.block, "query"); asks == nil {
		asks = find(x.block, "passdb_sql_query")
	}
	at := x
	if asks == nil { // Dovecot 2.3
		block := v.argsFile(x, args)
		if block == nil {
			return
		}
		if asks = find(block, "password_query"); asks == nil {
			v.decide(args, "directory", "the file has no password_query")
			return
		}
		db, at = v.database23(block)
		v.explainAll(block, "it is not for the question where a user is")
	} else {
		db, at = v.database24(x)
	}
	if db.driver == "" || at == nil {
		v.decide(x, "directory", "Portico asks PostgreSQL, MySQL and MariaDB: the source names no such database")
		return
	}
	names := map[string]string{} // columns that fields of Dovecot 2.4 come from: %{sql:COLUMN}
	for _, some := range []fields{p.byDefault, p.override} {
		for name, f := range some {
			if column, ok := strings.CutPrefix(strings.ReplaceAll(f.value, " ", ""), "%{sql:"); ok {
				names[strings.ToLower(strings.TrimSuffix(column, "}"))] = name
				delete(some, name)
			}
		}
	}
	q, ok := parseQuery(asks.value(), db.driver, names)
	if !ok {
		v.decide(asks, "directory", "the query cannot be translated. Write a source of sql: {user} is the user's "+
			"name, and the column server or database says where the mailbox is (docs/directory.md)")
		return
	}
	own := fields{}
	for name, value := range q.literals {
		own[name] = field{value, asks}
	}
	if _, always := p.override["host"]; always {
		q.text = ""
	}
	v.take(asks, "")
	v.common(p, own)
	v.sqlSources(asks, at, db, q, p.with(own))
}

// sqlSources makes sources of a translated query.
func (v *dovecot) sqlSources(asks, at *directive, db database, q query, all fields) {
	d := &v.config.Directory
	if q.text != "" {
		d.Sources = append(d.Sources, configs.DirectorySource{SQL: configs.SQLDirectory{Driver: db.driver,
			DSNFile: v.dsn(at, db), Query: q.text}})
		key := fmt.Sprintf("directory.sources[%d].sql", len(d.Sources)-1)
		v.take(asks, key)
		v.decide(asks, "mailbox_servers", "each host that the query finds must be the name of a server here. List "+
			"all, or give --server ADDRESS for each")
		v.otherwise(all["host"])
		v.linkServers(asks, all)
	} else if host := all.get("host"); host != "" {
		if s := v.linkedServer(asks, host, all); s != nil {
			v.places(asks, []*server{s})
		}
	}
	switch {
	case q.verify == "":
	case all.get("master") != "":
		d.Verify = append(d.Verify, configs.Verifier{SQL: configs.SQLDirectory{Driver: db.driver,
			DSNFile: v.dsn(at, db), Query: q.verify}})
		v.take(asks, "directory.verify")
	default:
		v.remark(asks, "directory", "without the password: in mode passthrough the mailbox servers verify it")
	}
	if len(q.unknown) > 0 {
		v.decide(asks, "directory", "without the columns %s", strings.Join(q.unknown, ", "))
	}
}

// linkServers gives the servers of the command line the link of a passdb. Without any, it adds a placeholder.
func (v *dovecot) linkServers(x *directive, all fields) {
	if len(v.order) == 0 {
		s := v.server(x, "mbx1", placeholder, "143", configs.TLSStartTLS)
		s.offered = true
		v.comment(s.key(""), "%s stands for a server that only the directory knows: put its host and port here.",
			placeholder)
	}
	switch {
	case all.get("ssl") == "any-cert" || all.get("starttls") == "any-cert":
		for _, address := range v.order {
			v.unverified(x, v.hosts[address])
		}
	case !all.on("ssl") && !all.on("starttls"):
		v.opposed(x, "Dovecot")
	}
}

// explainAll records the directives of a block that nothing else deals with.
func (v *dovecot) explainAll(block []*directive, why string) {
	for _, x := range block {
		if !x.seen && x.name() != "password_query" && x.name() != "connect" && x.name() != "driver" {
			v.withoutBlock(x, "%s", why)
		}
	}
}

var sqlDrivers = map[string]configs.SQLDriver{"mysql": configs.MySQL, "pgsql": configs.Postgres}

// database23 reads the connection of Dovecot 2.3: connect = host=... dbname=... user=... password=...
func (v *dovecot) database23(block []*directive) (db database, at *directive) {
	if x := find(block, "driver"); x != nil {
		db.driver = sqlDrivers[x.arg(0)]
		v.take(x, "")
	}
	at = find(block, "connect")
	if at == nil {
		return db, nil
	}
	words, _ := splitWords(at.value(), false)
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		db.set(name, value)
	}
	v.take(at, "")
	return db, at
}

// set takes one part of a connection.
func (db *database) set(name, value string) {
	switch name {
	case "host", "hostaddr":
		if db.host != "" {
			db.others = append(db.others, name+"="+value)
			break
		}
		db.host = value
	case "port":
		db.port = value
	case "dbname":
		db.name = value
	case "user":
		db.user = value
	case "password":
		db.password = value
	default:
		db.others = append(db.others, name)
	}
}

// database24 reads the connection of Dovecot 2.4: sql_driver, and a block mysql or pgsql with the name of the host.
func (v *dovecot) database24(x *directive) (db database, at *directive) {
	blocks := append(append([]*directive{}, v.tree...), x.block...)
	if y := find(blocks, "sql_driver"); y != nil {
		db.driver = sqlDrivers[y.arg(0)]
		v.take(y, "")
	}
	for _, y := range blocks {
		if sqlDrivers[y.name()] == "" || sqlDrivers[y.name()] != db.driver {
			continue
		}
		at = y
		v.take(y, "")
		db.set("host", y.arg(0))
		for _, z := range y.block {
			v.take(z, "")
			if len(z.block) == 0 {
				db.set(strings.TrimPrefix(z.name(), y.name()+"_"), z.value())
			}
			for _, parameter := range z.block {
				v.take(parameter, "")
				db.set(parameter.name(), parameter.value())
			}
		}
	}
	return db, at
}
