package testkit

import (
	"regexp"
	"strings"
)

// shownCommand is a line of a page that runs the program.
var shownCommand = regexp.MustCompile(`^(?:\$ )?(?:sudo (?:-u \w+ )?)?(?:\./)?portico (.+)$`)

// namedCommand is a command in the running text of a page.
var namedCommand = regexp.MustCompile("`portico ([^`]+)`")

// shellEnd is a word of a shell's line that ends a command's arguments: a comment, a pipe, a redirection.
var shellEnd = regexp.MustCompile(`^[0-9]?[#|<>&;]`)

// ShownCommands returns the commands that the blocks of a page in Markdown run, in their order: the arguments of each,
// without the program's name.
func ShownCommands(page string) (all [][]string) {
	block := false
	for line := range strings.Lines(strings.ReplaceAll(page, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			block = !block
		}
		if found := shownCommand.FindStringSubmatch(line); block && found != nil {
			all = append(all, shellWords(found[1]))
		}
	}
	return all
}

// NamedCommands returns the commands that the text of a page names, which may lack arguments.
func NamedCommands(page string) (all [][]string) {
	for _, found := range namedCommand.FindAllStringSubmatch(page, -1) {
		all = append(all, shellWords(found[1]))
	}
	return all
}

// shellWord is a word of a shell's line, with its quotes.
var shellWord = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)

// shellWords splits a line as a shell does, as far as pages need that, up to the end of the command.
func shellWords(line string) (words []string) {
	for _, word := range shellWord.FindAllString(line, -1) {
		if shellEnd.MatchString(word) {
			break
		}
		words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(word))
	}
	return words
}
