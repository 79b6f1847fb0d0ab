package sqldir

import (
	"fmt"
	"strings"
	"testing"

	"portico/backend/directory"
)

func TestNamed(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT db FROM users WHERE name = {user}":                           "name=user",
		"select db from users where {user}=name;":                            "name=user",
		"SELECT db FROM users u WHERE u.name <=> {user}":                     "u.name=user",
		"SELECT db FROM users WHERE LOWER(name) = {user}":                    "LOWER(name)=user",
		"SELECT db FROM users WHERE name = LOWER({user}) AND on_ = 1":        "name=user",
		"SELECT db FROM users WHERE (name = {user} OR alias = {user})":       "name=user alias=user",
		"SELECT db FROM users WHERE local || '@' || domain = {user}":         "local || '@' || domain=user",
		"SELECT db FROM users WHERE local = {local} AND domain = {domain}":   "local=local domain=domain",
		"SELECT db FROM users WHERE name = {user}::citext LIMIT 1":           "name=user",
		"SELECT db FROM users WHERE name = {user} COLLATE utf8mb4_bin":       "name=user",
		"SELECT db FROM a JOIN b ON a.id = b.id AND b.name = {user}":         "b.name=user",
		"SELECT db FROM a JOIN b ON b.name = {user} LEFT JOIN c ON c.i=b.i":  "b.name=user",
		"SELECT db FROM a WHERE {user} = LEFT(name, 20) ORDER BY db":         "LEFT(name, 20)=user",
		"SELECT db FROM a WHERE NOT gone AND {user} = name ORDER BY db":      "name=user",
		"SELECT db /* FROM */ FROM a -- WHERE x = y\nWHERE name = {user}":    "name=user",
		"SELECT 'a = b FROM c' FROM a WHERE 'it''s' <> x AND name = {user}":  "name=user",
		"SELECT EXTRACT(day FROM x) FROM a WHERE name = {user} FOR UPDATE":   "name=user",
		"SELECT IF(x = {user}, 1, 2) FROM a WHERE `name` = {user}":           "`name`=user",
		"SELECT db FROM a WHERE m.\"Name\" = {user} GROUP BY db":             "",
		"SELECT DISTINCT db FROM a WHERE name = {user}":                      "",
		"SELECT db FROM a WHERE id = (SELECT id FROM b WHERE name = {user})": "",
		"SELECT db FROM a WHERE name = {user} UNION SELECT 1":                "",
		"WITH x AS (SELECT 1) SELECT db FROM a WHERE name = {user}":          "",
		"SELECT db FROM a WHERE name LIKE {user}":                            "",
		"SELECT db FROM a WHERE name >= {user} AND name IN ({user}, 'x')":    "",
		"SELECT db FROM a WHERE {user} = {login}":                            "",
		`SELECT '\' FROM a' FROM a WHERE name = {user}`:                      "",
		"SELECT $$ FROM $$ FROM a WHERE name = {user}":                       "",
		"SELECT lookup({user})":                                              "",
		"SELECT db FROM a WHERE (name = {user}":                              "",
	} {
		template, err := directory.ParseTemplate(query)
		if err != nil {
			t.Fatal(err)
		}
		texts, fields := template.Texts()
		changed, found := named(texts, fields)
		var got []string
		for _, c := range found {
			got = append(got, c.expression+"="+c.field)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		columns := ""
		for _, c := range found {
			columns += ", " + c.expression + " "
		}
		if text := strings.Join(changed, "{}"); len(found) > 0 &&
			strings.Replace(text, columns, "", 1) != strings.Join(texts, "{}") ||
			len(found) == 0 && text != strings.Join(texts, "{}") {
			t.Errorf("%s: became %s", query, text)
		}
	}
}

func TestSame(t *testing.T) {
	q := directory.Query{User: "ann@example.org", Login: "root"}
	for _, test := range []struct {
		asked  string
		values string // field=value of each comparison
		want   bool
	}{
		{"user", "user=ann@example.org", true},
		{"user", "user=Ann@Example.ORG", true},
		{"user", "user=ann@example.org ", false},
		{"user", "user=bob@example.org user=ann@example.org", true},
		{"user login", "user=ann@example.org", false},
		{"user login", "user=ann@example.org login=Root", true},
		{"local domain", "local=ann domain=example.org", true},
		{"local domain", "local=ann domain=ex\u00e4mple.org", false},
		{"user local domain", "local=ann domain=example.org", true},
		{"user domain", "user=ann@example.org", true},
		{"domain", "domain=example.org", true},
		{"user domain", "domain=example.org", false},
		{"user", "", false},
	} {
		var comparisons []comparison
		var values []string
		for _, pair := range strings.Split(test.values, " ") {
			field, value, _ := strings.Cut(pair, "=")
			comparisons, values = append(comparisons, comparison{field: field}), append(values, value)
		}
		if strings.HasSuffix(test.values, " ") {
			values[0] += " "
		}
		if got := same(q, strings.Fields(test.asked), comparisons, values); got != test.want {
			t.Errorf("%s: %v", fmt.Sprint(test), got)
		}
	}
}

// FuzzNamed wants every query either left alone or given columns and nothing else, without a panic.
func FuzzNamed(f *testing.F) {
	f.Add("SELECT db FROM users u WHERE u.name = {user} AND (x = 'it''s' OR {login} = y)")
	f.Fuzz(func(t *testing.T, query string) {
		template, err := directory.ParseTemplate(query)
		if err != nil {
			return
		}
		texts, fields := template.Texts()
		changed, found := named(texts, fields)
		if before, after := strings.Join(texts, ""), strings.Join(changed, ""); len(after) < len(before) ||
			len(found) == 0 && after != before {
			t.Errorf("%q became %q", before, after)
		}
	})
}
