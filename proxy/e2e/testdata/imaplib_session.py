"""A session of Python's imaplib: sign in, list, select, append, fetch, search, wait in IDLE, log out."""
import imaplib
import ssl
import sys

way, port, ca, user, password = sys.argv[1:]
imaplib._MAXLINE = 1 << 20


def connect():
    context = ssl.create_default_context(cafile=ca)
    if way == "tls":
        return imaplib.IMAP4_SSL("localhost", int(port), ssl_context=context, timeout=30)
    client = imaplib.IMAP4("localhost", int(port), timeout=30)
    if way == "starttls":
        client.starttls(context)
    return client


def good(answer):
    status, data = answer
    assert status == "OK", answer
    return data


# By LOGIN, and a wrong password first.
c = connect()
try:
    c.login(user, "wrong")
    raise AssertionError("a wrong password was good")
except imaplib.IMAP4.error as refusal:
    assert "AUTHENTICATIONFAILED" in str(refusal), refusal
good(c.login(user, password))
assert any(b"INBOX" in line for line in good(c.list()))
assert good(c.select("INBOX")) == [b"3"]

message = b"Subject: from imaplib\r\n\r\n" + b"Some text, again and again.\r\n" * 200000
good(c.append("INBOX", r"(\Seen)", None, message))
assert good(c.search(None, "SUBJECT", "imaplib")) == [b"4"]
fetched = good(c.fetch("4", "(FLAGS BODY[])"))
assert fetched[0][1] == message, len(fetched[0][1])
good(c.store("1", "+FLAGS", r"(\Deleted)"))
assert good(c.expunge()) == [b"1"]

# imaplib of this age knows no IDLE, so by hand; the news come from a second client, which signs in by AUTHENTICATE.
c.send(b"i1 IDLE\r\n")
assert c.readline().startswith(b"+")
other = connect()
good(other.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password.encode()))
good(other.append("INBOX", None, None, b"Subject: news\r\n\r\n"))
other.logout()
while b"EXISTS" not in c.readline():
    pass
c.send(b"DONE\r\n")
while not c.readline().startswith(b"i1 OK"):
    pass
assert c.logout()[0] == "BYE"
print("all done")
