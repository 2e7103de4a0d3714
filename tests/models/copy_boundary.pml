/* Does every transaction reach every range of a table exactly once, by copy or by stream? (docs/positions.md)
 *
 * Source.  N transactions write all U ranges of one table; one may be a TRUNCATE and a write behind it. A commit's record
 * is inserted into the log, the log is flushed and can be streamed, the transaction leaves and snapshots see it: after the
 * flush, under ASYNC (synchronous_commit=off) also before. TRUNCATE's lock excludes other writers and copies that read. The
 * table may join the publication while transactions are open: what those wrote is never streamed.
 * Program. A range waits (its changes are dropped), holds, copies under a snapshot S, and lands: copied rows, held changes
 * that S does not see, state and position in one destination transaction. Copied rows are at the destination before that,
 * not yet counted. A crash loses all that is not at the destination; ranges that landed stay.
 * Claim.   No change is applied to rows that have it; at the end the destination has what the source has.
 *
 * Options: N, U, CRASHES (of program or, under ASYNC, of the server as well), ASYNC, and BUG, one of the rules left out:
 *   1 snapshots are taken without asking whether they see what passed      6 nothing is known of commits before the slot
 *   2 ... asking only the list of running ids, not xmax                    7 (ASYNC) rows land before the log is flushed to I
 *   3 the list of passed transactions is not stored                       8 a TRUNCATE empties the whole shadow
 *   4 a range lands before the stream has reached I                       9 rows of a copy that was cut off stay
 *   5 holding begins behind the snapshot                                 10 a table that joins does not wait for open writers
 * run_models says which must hold and which must fail. */
#ifndef N
#define N 3
#endif
#ifndef U
#define U 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef BUG
#define BUG 0
#endif

#define BIT(k) (1 << (k))
#define ALL (BIT(N) - 1)

#define WAITING 0
#define HOLDING 1
#define COPYING 2
#define LIVE 3
#define BEHIND 4 /* BUG 5: has a snapshot, does not hold yet */

/* Source: sets of transactions. */
byte begun, ended, left, gone; /* ended: in the log; gone: rolled back, or lost in a crash of the server */
byte truncates;
byte xmax;           /* newest that ended, and one */
byte content[U];     /* whose rows a snapshot taken now would see */
byte log[N], inserted, flushed; /* commits, how many there are, how many of them are flushed */
byte unstreamed;     /* began before the table was published */
bit published;
byte crashes;

/* Destination, durable. */
byte position, stored_passed;
byte rows[U]; /* whose rows landed ranges have */
bit landed[U];
byte shadow[U]; /* copied, not landed */

/* Program, volatile. */
byte received, passed;
byte state[U], snapshot[U], suspects[U], boundary[U]; /* boundary: I */
byte streamed[U];                 /* what live ranges have, not durable yet */
byte held[U], held_cut[U];        /* held changes, and those of them before a held TRUNCATE */
bit read_all[U];                  /* the copy's transaction is over, the log flushed to I */

byte i, u, x, t;

#define OPEN (begun & ~(left | gone))

/* The rows `set` once `k` is applied. */
inline apply(set, k) {
  assert(!(set & BIT(k)));
  if
  :: truncates & BIT(k) -> set = BIT(k)
  :: else -> set = set | BIT(k)
  fi
}

inline leave(k) {
  left = left | BIT(k);
  if :: k + 1 > xmax -> xmax = k + 1 :: else fi;
  t = 0;
  do
  :: t < U -> apply(content[t], k); t++
  :: else -> break
  od;
  t = 0
}

#if BUG == 7
#define READING(r) (0)
#else
#define READING(r) (state[r] == COPYING && !read_all[r])
#endif
#if U > 1
#define SOMEBODY_READS (READING(0) || READING(1))
#else
#define SOMEBODY_READS READING(0)
#endif

#ifdef ASYNC
#define MAY_LEAVE(k) 1
#else
#define MAY_LEAVE(k) (log[0] == k && flushed > 0 || N > 1 && log[1] == k && flushed > 1 || N > 2 && log[N - 1] == k && flushed > N - 1)
#endif

proctype Transaction(byte k) {
  /* Its lock, then its id: ids are given out in order. */
  if
  :: begun & BIT(k)
  :: atomic {
       !(begun & BIT(k)) && (k == 0 || (begun & BIT(k - 1))) && !(OPEN & truncates) ->
       if
       :: true
       :: !OPEN && !SOMEBODY_READS && !truncates -> truncates = truncates | BIT(k)
       fi;
       begun = begun | BIT(k);
       if :: !published -> unstreamed = unstreamed | BIT(k) :: else fi
     }
  fi;
  do
  :: atomic { !((ended | gone) & BIT(k)) -> ended = ended | BIT(k); log[inserted] = k; inserted++ }
  :: atomic { (ended & BIT(k)) && !((left | gone) & BIT(k)) && MAY_LEAVE(k) -> leave(k) }
  :: atomic {
       !((ended | gone) & BIT(k)) ->
       gone = gone | BIT(k);
       if :: k + 1 > xmax -> xmax = k + 1 :: else fi
     }
  :: atomic { (left | gone) & BIT(k) -> break }
  od
}

proctype LogWriter() {
end_idle:
  do
  :: atomic { flushed < inserted -> flushed++ }
  od
}

proctype Publish() {
  atomic { !published -> published = 1 }
}

#ifdef ASYNC
/* What was not flushed never happened; what was flushed is visible. Sessions end, copies that were reading begin again. */
proctype ServerCrash() {
  byte r, k;
end_without:
  atomic {
    crashes < CRASHES ->
    crashes++;
    inserted = flushed;
    ended = 0;
    do
    :: k < flushed -> ended = ended | BIT(log[k]); k++
    :: else -> break
    od;
    left = ended;
    gone = gone | (begun & ~ended);
    do
    :: r < U ->
       content[r] = 0;
       k = 0;
       do :: k < flushed -> apply(content[r], log[k]); k++ :: else -> break od;
       if :: READING(r) -> state[r] = HOLDING; shadow[r] = 0 :: else fi;
       r++
    :: else -> break
    od;
    do
    :: k < N -> if :: (begun & BIT(k)) && k + 1 > xmax -> xmax = k + 1 :: else fi; k++
    :: else -> break
    od;
    r = 0;
    k = 0
  }
}
#endif

/* One commit of the stream. */
inline receive() {
  x = log[received];
  received++;
  passed = passed | BIT(x);
  u = 0;
  do
  :: u < U ->
     if
     :: unstreamed & BIT(x) -> skip
     :: else ->
        if
        :: state[u] == LIVE -> apply(streamed[u], x)
        :: state[u] == HOLDING || state[u] == COPYING ->
           held[u] = held[u] | BIT(x);
           if :: truncates & BIT(x) -> held_cut[u] = held[u] & ~BIT(x) :: else fi
        :: else -> skip /* its copy will see it */
        fi;
#if BUG == 8
        if :: (truncates & BIT(x)) && state[u] == COPYING -> shadow[u] = 0 :: else fi
#endif
     fi;
     u++
  :: else -> break
  od;
  u = 0;
  x = 0
}

/* S is taken, and offered: does it see all that had passed when holding began? */
#if BUG == 1
#define USABLE(r) 1
#elif BUG == 2
#define USABLE(r) (!(suspects[r] & ~left & (BIT(xmax) - 1)))
#else
#define USABLE(r) (!(suspects[r] & ~left))
#endif
inline take(r) {
  passed = passed & ~left;
  if
  :: USABLE(r) ->
     state[r] = COPYING;
     snapshot[r] = left;
#if BUG == 9
     shadow[r] = shadow[r] | content[r];
#else
     shadow[r] = content[r];
#endif
     boundary[r] = inserted;
     read_all[r] = 0
  :: else
  fi
}

/* One destination transaction; `r` lands in it, U: none does. */
inline commit(r) {
  u = 0;
  do
  :: u < U ->
     if
     :: u == r ->
        x = held[u] & ~snapshot[u]; /* a TRUNCATE among them empties what was copied, and what was held before it */
        if
        :: x & truncates -> streamed[u] = x & ~held_cut[u]
        :: else -> assert(!(x & shadow[u])); streamed[u] = shadow[u] | x
        fi;
        rows[u] = streamed[u];
        shadow[u] = 0;
        landed[u] = 1;
        state[u] = LIVE;
        held[u] = 0; held_cut[u] = 0; snapshot[u] = 0; suspects[u] = 0; boundary[u] = 0; read_all[u] = 0
     :: u != r && state[u] == LIVE -> rows[u] = streamed[u]
     :: else -> skip
     fi;
     u++
  :: else -> break
  od;
  u = 0;
  x = 0;
  position = received;
#if BUG != 3
  stored_passed = passed
#endif
}

#if BUG == 10
#define JOINED published
#else
#define JOINED (published && !(unstreamed & OPEN))
#endif
#define LOCKABLE (!(OPEN & truncates))
#if BUG == 4
#define REACHED(r) 1
#else
#define REACHED(r) (received >= boundary[r])
#endif

#if BUG == 5
#define BEGIN(r) \
  :: atomic { state[r] == WAITING && JOINED && LOCKABLE -> suspects[r] = passed; take(r); \
       if :: state[r] == COPYING -> state[r] = BEHIND :: else fi } \
  :: atomic { state[r] == BEHIND -> state[r] = COPYING; held[r] = 0 }
#else
#define BEGIN(r) \
  :: atomic { state[r] == WAITING && JOINED -> state[r] = HOLDING; suspects[r] = passed } \
  :: atomic { state[r] == HOLDING && LOCKABLE -> take(r) }
#endif
#define RANGE(r) \
  BEGIN(r) \
  :: atomic { state[r] == COPYING && !read_all[r] && flushed >= boundary[r] -> read_all[r] = 1 } \
  :: atomic { state[r] == COPYING && (read_all[r] || BUG == 7) && REACHED(r) -> commit(r) }

proctype Program() {
  do
  :: atomic { received < flushed -> receive() }
  :: atomic { position < received || (BUG != 3 && stored_passed != passed) -> commit(U) }
  RANGE(0)
#if U > 1
  RANGE(1)
#endif
  :: atomic {
       crashes < CRASHES ->
       crashes++;
       received = position;
       passed = stored_passed;
       u = 0;
       do
       :: u < U ->
          held[u] = 0; held_cut[u] = 0; snapshot[u] = 0; suspects[u] = 0; boundary[u] = 0; read_all[u] = 0;
#if BUG != 9
          shadow[u] = 0;
#endif
          if
          :: landed[u] -> state[u] = LIVE; streamed[u] = rows[u]
          :: else -> state[u] = WAITING; streamed[u] = 0
          fi;
          u++
       :: else -> break
       od;
       u = 0
     }
  :: atomic {
       (left | gone) == ALL && received == inserted && position == received && landed[0] && landed[U - 1] ->
       u = 0;
       do
       :: u < U -> assert(rows[u] == content[u]); u++
       :: else -> break
       od;
       break
     }
  od
}

init {
  atomic {
    /* Some committed before the slot was made. A crash of the server later makes all of these visible. */
    do
    :: inserted < N ->
       begun = begun | BIT(inserted); ended = begun; log[inserted] = inserted; inserted++;
       if :: leave(inserted - 1) :: skip fi
    :: break
    od;
    flushed = inserted;
    received = inserted;
    position = inserted;
#if BUG != 6
    passed = begun;
    stored_passed = begun;
#endif
    if
    :: published = 1
    :: unstreamed = begun; run Publish()
    fi;
    i = 0;
    do
    :: i < N -> run Transaction(i); i++
    :: else -> break
    od;
    i = 0;
#ifdef ASYNC
    run ServerCrash();
#endif
    run LogWriter();
    run Program()
  }
}
