// Package move moves things, such as databases and users, each of which is served at one place at a time. Several
// processes, called members, let people in, and none of them may still do so at the old place when one does at the new
// place.
//
// A thing has one record in the store, which says where it is open. A move changes the record in phases, each by
// comparing its revision, so of two moves of a thing one fails:
//
//  1. Begin takes the thing's turn in this process.
//  2. Close stores that the thing closes. Each member that sees this holds its sign-ins, ends its sessions, and
//     acknowledges the record's revision. A member has one entry for all that it acknowledges, and only a member
//     that moves something follows these entries. Otherwise each of 200 members would hear of 200 acknowledgements.
//  3. Agree reads which members are registered, and waits for the acknowledgement of each.
//  4. Suspend stores between which places the thing is, if a hook is to switch its storage. Members go on holding its
//     sign-ins while the hook is at work. If the move ends here, or its mover is gone, they refuse them until somebody
//     moves the thing again.
//  5. Open stores the new place. Members let people in there when they see it.
//
// It is safe because a member registers before it reads records, and lets nobody in while the record that it has read
// closes or suspends the thing. A member that Agree finds has acknowledged, so it has nobody at the old place. A member
// that Agree does not find has registered later, so it has read a record that is at least as late as Close's.
//
// No clock decides who may be let in. A member that is gone without a word counts until it is back, or until its
// registration is removed: it may still serve people. A thing that closes goes back to where it was open, at once if
// its mover knows nothing of the move any more, and after AbandonTime by any member. This needs no acknowledgements,
// since only that place was used.
//
// Some things need not have a record: without one they are open at "", where something else decides. A move begins and
// ends there as elsewhere; its last step deletes the record. Of such a thing, a process keeps nothing while it is open,
// so that there may be very many.
//
// A record needs no number that counts its moves: its revision does that, since a store never uses one again.
package move
