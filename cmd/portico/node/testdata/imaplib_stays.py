"""A session of Python's imaplib that stores, finds and reads a message each second until its input ends."""
import imaplib
import ssl
import sys
import threading

port, ca, user = sys.argv[1:]


def good(answer):
    status, data = answer
    assert status == "OK", answer
    return data


ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

c = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=ssl.create_default_context(cafile=ca), timeout=30)
good(c.login(user, "secret"))
before = int(good(c.select("INBOX"))[0])
print("signed in", flush=True)
rounds = 0
while not ended.wait(1) or rounds == 0:
    rounds += 1
    message = b"Subject: imaplib %d\r\n\r\nText\r\n" % rounds
    good(c.append("INBOX", None, None, message))
    number = b"%d" % (before + rounds)
    assert good(c.search(None, "SUBJECT", '"imaplib %d"' % rounds))[0].split()[-1] == number
    assert good(c.fetch(number, "(BODY[])"))[0][1] == message
assert c.logout()[0] == "BYE"
print(rounds)
