/* All that memtop's thread does in the target: call the functions of a list, wait until the
 * results were read, call the rest of the list (which gives back what was made), and unmap itself.
 *
 * It has no data of its own and calls nothing but what the list names. The list and the words that
 * belong to it lie in `struct control`, which memtop writes before the thread exists and reads
 * through /proc/PID/mem; `job.py` describes the same layout. `stub.py` holds the machine code:
 *
 *   gcc -Os -std=c11 -ffreestanding -fPIC -fno-stack-protector -fcf-protection=none
 *       -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -c stub.c
 */

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word);
typedef long (*sleeper)(void *, word, int);

struct call {
	function what;
	const volatile word *needs;  /* called only if this word is not 0; NULL: always */
	const volatile word *unless; /* called only if this word is 0; NULL: always */
	word by_reference;           /* bit n: argument n is the address of the word to pass */
	word ran;                    /* 1 after the call */
	word result;
	word argument[6];
};

struct control {
	word magic;
	word made_at;         /* for whoever finds this after memtop was killed */
	volatile word step;   /* 1 + the number of the call that comes next; 0: not begun */
	volatile word cancel; /* set by memtop; `unless` of the calls that can be left out */
	volatile word done;   /* the first `first` calls are over */
	volatile word ack;    /* set by memtop when it has read the results */
	volatile word go;     /* set by memtop when the borrowed thread is back; else nothing is done */
	sleeper poll;
	function unmap, self, detach;
	word region, size;    /* what to unmap at the end: this and the code */
	word first, all;      /* calls before the wait, calls in all */
	struct call call[];
};

enum { PATIENCE = 1500, NAP_MS = 2 };

word run(struct control *c)
{
	word i = 0;
	/* First, so that its stack is given back whatever follows. */
	c->detach(c->self(0, 0, 0, 0, 0, 0), 0, 0, 0, 0, 0);
	for (int nap = 0; nap < PATIENCE && !c->go; nap++)
		c->poll(0, 0, NAP_MS);
	if (!c->go)
		return c->unmap(c->region, c->size, 0, 0, 0, 0);
	for (;; i++) {
		if (i == c->first) {
			__atomic_store_n(&c->done, 1, __ATOMIC_SEQ_CST);
			for (int nap = 0; nap < PATIENCE && !c->ack; nap++)
				c->poll(0, 0, NAP_MS);
		}
		if (i == c->all)
			return c->unmap(c->region, c->size, 0, 0, 0, 0);
		struct call *call = &c->call[i];
		/* Stored before the words are read: who sets `cancel` and then sees a lower step
		 * knows that the call will be left out. */
		__atomic_store_n(&c->step, i + 1, __ATOMIC_SEQ_CST);
		if ((call->needs && !*call->needs) || (call->unless && *call->unless))
			continue;
		word a[6];
		for (int n = 0; n < 6; n++)
			a[n] = call->by_reference >> n & 1 ? *(volatile word *)call->argument[n]
							   : call->argument[n];
		call->result = call->what(a[0], a[1], a[2], a[3], a[4], a[5]);
		call->ran = 1;
	}
}
