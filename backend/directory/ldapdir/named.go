package ldapdir

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"portico/backend/directory"
)

// An LDAP server may find an entry for another name than was asked for: its matching rules fold case and blanks, and
// some servers fold accents. Which name the entry has is seen in the attributes that the filter compares with a field,
// in "(mail={user})" mail. So these are asked for, and Go compares them.

// nobody asks with fields that no user has. A part of a filter that differs for nobody depends on a field.
var nobody = directory.Query{User: "\x01@\x01", Login: "\x01"}

// finding is what a filter's part says of whether an entry is for the name that was asked for.
type finding uint8

const (
	silent finding = iota // it compares nothing with a field
	same
	other
)

// compile compiles the filter for a question.
func (d *Directory) compile(q directory.Query) (*ber.Packet, error) {
	return ldap.CompileFilter(d.filter.Fill(q, ldap.EscapeFilter))
}

// compared returns the attributes that a filter compares with fields.
func compared(asked, blank *ber.Packet) (attributes []string) {
	if asked.Tag != blank.Tag || len(asked.Children) != len(blank.Children) {
		return nil
	}
	switch asked.Tag {
	case ldap.FilterAnd, ldap.FilterOr:
		for i := range asked.Children {
			attributes = append(attributes, compared(asked.Children[i], blank.Children[i])...)
		}
	case ldap.FilterEqualityMatch:
		if part(asked, 1) != part(blank, 1) {
			attributes = append(attributes, part(asked, 0))
		}
	}
	return attributes
}

// judge says whether a found entry has the names of a filter in their canonical form.
func judge(asked, blank *ber.Packet, found *ldap.Entry) finding {
	if asked.Tag != blank.Tag || len(asked.Children) != len(blank.Children) {
		return other // an empty field can turn a comparison into a test for presence
	}
	switch asked.Tag {
	case ldap.FilterAnd:
		return judgeParts(asked, blank, found, other)
	case ldap.FilterOr:
		return judgeParts(asked, blank, found, same)
	case ldap.FilterNot: // finds nothing by a name
		return silent
	case ldap.FilterEqualityMatch:
		value := part(asked, 1)
		if value == part(blank, 1) {
			return silent
		}
		if slices.ContainsFunc(found.GetEqualFoldAttributeValues(part(asked, 0)),
			func(v string) bool { return directory.SameName(v, value) }) {
			return same
		}
		return other
	}
	if !bytes.Equal(asked.Bytes(), blank.Bytes()) {
		return other // a part of a name, or about as the name: it does not prove the whole
	}
	return silent
}

// judgeParts judges the parts of an AND or an OR: one that is decisive settles it, else any that is not silent.
func judgeParts(asked, blank *ber.Packet, found *ldap.Entry, decisive finding) finding {
	whole := silent
	for i := range asked.Children {
		switch of := judge(asked.Children[i], blank.Children[i], found); of {
		case decisive:
			return of
		case silent:
		default:
			whole = of
		}
	}
	return whole
}

func part(p *ber.Packet, i int) string { return p.Children[i].Data.String() }

// owns makes sure that a found entry is for the name that was asked for, where it does not say its name.
func (d *Directory) owns(q directory.Query, found *ldap.Entry) error {
	asked, err := d.compile(q)
	if err != nil {
		return directory.Unavailable("ldap", err)
	}
	if judge(asked, d.blank, found) != same {
		return d.otherName("the attribute's matching rule (the server's collation), or missing permission to read " +
			"the attribute,")
	}
	return nil
}

// boundAs makes sure that a connection is bound as the entry that was named, and not as one whose name the server
// takes for the same.
func (d *Directory) boundAs(conn *ldap.Conn, dn string) error {
	var bound string
	if answer, err := conn.WhoAmI(nil); err == nil {
		bound, _ = strings.CutPrefix(answer.AuthzID, "dn:")
	}
	if sameDN(bound, dn) {
		return nil
	}
	if !strings.Contains(bound, "=") { // the server does not tell, or in words of its own
		found, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false,
			"(objectClass=*)",
			[]string{"1.1"}, nil))
		if err != nil || len(found.Entries) != 1 {
			return directory.Unavailable("ldap",
				errors.New("the server does not report who has bound: use filter instead of user_dn"))
		}
		if sameDN(found.Entries[0].DN, dn) {
			return nil
		}
	}
	return d.otherName("the matching rule of the name in user_dn (the server's collation)")
}

func (d *Directory) otherName(reason string) error {
	err := directory.OtherName("ldap", reason)
	if d.opt.Report != nil {
		d.opt.Report(err)
	}
	return err
}

// sameDN compares the values of two names; their types may have several spellings.
func sameDN(a, b string) bool {
	return slices.EqualFunc(valuesOf(a), valuesOf(b), directory.SameName)
}

func valuesOf(dn string) (values []string) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return []string{dn}
	}
	for _, rdn := range parsed.RDNs {
		for _, of := range rdn.Attributes {
			values = append(values, of.Value)
		}
	}
	return values
}
