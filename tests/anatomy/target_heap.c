/* Heaps made by C, without a GIL.
 *
 *     target_heap churn THREADS MB    threads that take and give back memory at full speed
 *     target_heap holes THREADS MB    blocks of 16 to 4,000 bytes, of which half died, then rest
 *     target_heap small THREADS MB    blocks that fit into fastbins, whole stretches of them freed
 *
 * Says a line of JSON, and one for each line of input: `info` is mallinfo2(3), `trim` calls
 * malloc_trim(0). Nothing that is asked takes memory from malloc.
 */

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
#define INFO mallinfo2
#else
#define INFO mallinfo
#endif
#endif

static char kind;
static size_t budget;
static _Atomic int ready;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static size_t size_of(uint64_t *state)
{
	uint64_t dice = next(state);
	if (kind == 's')
		return 24 + dice % 90;
	if (kind == 'c' && dice % 200 == 0)
		return dice >> 32 & 0xffff;
	return 16 + (dice >> 32) % 3984;
}

static void *take(uint64_t *state, size_t *taken)
{
	size_t size = size_of(state);
	void *block = malloc(size);
	if (!block)
		abort();
	memset(block, (int)next(state), size);
	*taken += size;
	return block;
}

static void *work(void *seed)
{
	uint64_t state = (uintptr_t)seed * 0x9E3779B97F4A7C15u + 1;
	size_t most = budget / (kind == 's' ? 69 : 2008), taken = 0, count = 0, ignored = 0;
	void **slots = malloc(8 * most);
	while (count < most && taken < budget)
		slots[count++] = take(&state, &taken);
	if (kind == 'h')
		for (size_t n = 0; n < count; n++)
			if (next(&state) % 2)
				free(slots[n]);
	if (kind == 's')
		for (size_t n = 0; n < count; n++)
			if (n / 4000 % 3)
				free(slots[n]);
	ready++;
	while (kind != 'c')
		pause();
	for (;;) {
		void **slot = &slots[next(&state) % count];
		free(*slot);
		*slot = take(&state, &ignored);
	}
	return 0;
}

static void say(const char *line)
{
	char text[400];
	int length = 0;
	if (!strncmp(line, "trim", 4)) {
#ifdef INFO
		length = snprintf(text, sizeof text, "{\"returned\": %d}\n", malloc_trim(0));
#endif
	} else {
#ifdef INFO
		__auto_type m = INFO();
		length = snprintf(text, sizeof text,
				  "{\"arena\": %zu, \"hblks\": %zu, \"hblkhd\": %zu, "
				  "\"fsmblks\": %zu, \"uordblks\": %zu, \"fordblks\": %zu, "
				  "\"keepcost\": %zu}\n",
				  (size_t)m.arena, (size_t)m.hblks, (size_t)m.hblkhd,
				  (size_t)m.fsmblks, (size_t)m.uordblks, (size_t)m.fordblks,
				  (size_t)m.keepcost);
#endif
	}
	if (!length)
		length = snprintf(text, sizeof text, "{}\n");
	if (write(1, text, length) != length)
		exit(1);
}

int main(int count, char **values)
{
	char line[64] = "info";
	if (count < 4)
		return 2;
	int threads = atoi(values[2]);
	kind = values[1][0];
	budget = ((size_t)atoi(values[3]) << 20) / threads;
	for (int n = 0; n < threads; n++) {
		pthread_t thread;
		if (pthread_create(&thread, 0, work, (void *)(uintptr_t)(n + 1)))
			return 2;
	}
	while (ready < threads)
		usleep(1000);
	do
		say(line);
	while (read(0, line, sizeof line) > 0);
	return 0;
}
