/* Eight threads that take and give back memory at full speed, with a canary at both ends.
 *
 * As a program: main waits in read(2), and answers each line with one line of JSON. With
 * -DAS_LIBRARY: malloc_begin(threads) and malloc_report(uint64_t[2]) for target_stress.py.
 * A broken canary is counted as an error; a broken heap is left to glibc, which aborts.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 512, THREADS = 8 };

struct block {
	uint64_t *at;
	size_t words;
	uint64_t mark;
};

static _Atomic uint64_t rounds, errors;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static int whole(const struct block *block)
{
	return block->at[0] == block->mark && block->at[block->words - 1] == ~block->mark &&
	       (block->words == 2 || block->at[block->words / 2] == (block->mark ^ block->words));
}

static void mark(struct block *block)
{
	block->at[block->words / 2] = block->mark ^ block->words;
	block->at[0] = block->mark;
	block->at[block->words - 1] = ~block->mark;
}

static void *work(void *seed)
{
	uint64_t state = (uintptr_t)seed * 0x9E3779B97F4A7C15u + 1;
	struct block slots[SLOTS] = {0};
	for (;;) {
		struct block *block = &slots[next(&state) % SLOTS];
		if (block->at && !whole(block))
			errors++;
		uint64_t dice = next(&state);
		size_t size = dice % 64 == 0 ? 1 << 17 : dice % 8 == 0 ? 8192 : 512;
		size_t words = 2 + next(&state) % (size / 8);
		if (block->at && dice >> 32 & 1) { /* grow or shrink it */
			if (words > 4 && block->words > 4) {
				uint64_t first = block->at[0];
				block->at = realloc(block->at, 8 * words);
				if (!block->at)
					abort();
				if (block->at[0] != first)
					errors++;
				block->words = words;
				mark(block);
			}
		} else {
			free(block->at);
			block->at = malloc(8 * words);
			if (!block->at)
				abort();
			block->words = words;
			block->mark = next(&state);
			mark(block);
		}
		rounds++;
	}
	return 0;
}

int malloc_begin(int threads)
{
	for (int n = 0; n < threads; n++) {
		pthread_t thread;
		if (pthread_create(&thread, 0, work, (void *)(uintptr_t)(n + 1)))
			return -1;
		pthread_detach(thread);
	}
	return 0;
}

void malloc_report(uint64_t *answer)
{
	answer[0] = rounds;
	answer[1] = errors;
}

#ifndef AS_LIBRARY
int main(void)
{
	char line[64];
	uint64_t answer[2];
	if (malloc_begin(THREADS))
		return 2;
	do {
		malloc_report(answer);
		char text[128];
		int length = snprintf(text, sizeof text, "{\"rounds\": %llu, \"errors\": %llu}\n",
				      (unsigned long long)answer[0], (unsigned long long)answer[1]);
		if (write(1, text, length) != length)
			return 1;
	} while (read(0, line, sizeof line) > 0);
	return 0;
}
#endif
