// A session of imapflow: node imapflow_session.cjs LIBRARY PORT USER PASSWORD. It prints what it learned, a line for each step.
const [library, port, user, pass] = process.argv.slice(2);
const { ImapFlow } = require(library);

const client = new ImapFlow({
    host: '127.0.0.1', port: Number(port), secure: false, doSTARTTLS: false, tls: { rejectUnauthorized: false },
    auth: { user, pass }, logger: false, disableAutoIdle: true,
});
const say = (step, value) => console.log(step, JSON.stringify(value));

async function main() {
    await client.connect();
    say('list', (await client.list()).map((box) => [box.path, box.delimiter]).sort());
    const other = (await client.mailboxCreate('INBOX' + (client.namespace?.delimiter || '/') + 'Other')).path;
    const big = Buffer.from('Subject: by imapflow\r\n\r\n' + 'x CREATE Evil\r\nz LOGOUT\r\n'.repeat(5000));
    say('append', (await client.append('INBOX', big, ['\\Flagged'])).uid);
    const box = await client.mailboxOpen('INBOX');
    say('open', [box.exists, box.uidNext, box.readOnly]);
    const mail = [];
    for await (const m of client.fetch('1:*', { envelope: true, flags: true, size: true, bodyStructure: true, source: true })) {
        mail.push([m.uid, m.envelope.subject, [...m.flags].filter((f) => f !== '\\Recent').sort(), m.size, m.bodyStructure.type, m.source.length]);
    }
    say('fetch', mail);
    const last = await client.fetchOne('*', { source: true });
    say('same', last.source.equals(big));
    say('search', await client.search({ subject: 'imapflow' }, { uid: true }));
    say('flag', await client.messageFlagsAdd('1:2', ['\\Seen']));
    say('copy', [...(await client.messageCopy('1', other)).uidMap]);
    say('move', [...(await client.messageMove('2', other)).uidMap]);
    say('delete', await client.messageDelete('1'));
    const status = await client.status(other, { messages: true, unseen: true });
    say('status', [status.messages, status.unseen]);
    say('noop', (await client.noop()) === undefined);
    await client.logout();
    console.log('all done');
}

main().catch((err) => {
    console.log('failed', err.message, err.responseText || '');
    process.exit(1);
});
