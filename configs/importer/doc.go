// Package importer writes a Portico configuration from that of another IMAP proxy: nginx, perdition, Dovecot's proxy
// and director, HAProxy.
//
// A parser for each format makes a tree of directives, each with its file and line. A reader for each product then
// takes the directives over into a [configs.Config]. A rule marks each directive that it deals with, and what is left
// at the end becomes a comment, so that no directive can be lost. The writer prints every key that differs from its
// default, with the comments at their keys.
//
// The input may come from anywhere, so its size, number of files, depth of blocks and includes are bounded. Secrets in
// it go into files of their own and never into the configuration or a comment.
package importer
