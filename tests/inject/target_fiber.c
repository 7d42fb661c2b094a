/* A thread that waits in read(2) on a small stack of its own, in the middle of other data.
 *
 * As coroutines do it, and the goroutines of a library in Go: 4 KiB, without a guard page. What
 * lies below must not be touched. With `thread` the one that waits is not the main thread, which
 * then waits for the other one to end. Answers each line with {"rounds", "spoilt"}.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { SIZE = 1 << 20, BOTTOM = 512 << 10, STACK = 4 << 10 };

static uint8_t *data;
static ucontext_t outside, inside;

static void fiber(void)
{
	char line[64], text[128];
	uint64_t rounds = 0, spoilt;
	do {
		spoilt = 0;
		for (int n = 0; n < BOTTOM; n++)
			spoilt += data[n] != 0xA5;
		int length = snprintf(text, sizeof text, "{\"rounds\": %llu, \"spoilt\": %llu}\n",
				      (unsigned long long)rounds++, (unsigned long long)spoilt);
		if (write(1, text, length) != length)
			return;
	} while (read(0, line, sizeof line) > 0);
}

static void *work(void *nothing)
{
	data = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		_exit(2);
	memset(data, 0xA5, SIZE);
	getcontext(&inside);
	inside.uc_stack.ss_sp = data + BOTTOM;
	inside.uc_stack.ss_size = STACK;
	inside.uc_link = &outside;
	makecontext(&inside, fiber, 0);
	swapcontext(&outside, &inside);
	return nothing;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1) {
		work(0);
		return 0;
	}
	pthread_t thread;
	if (pthread_create(&thread, 0, work, 0))
		return 2;
	pthread_join(thread, 0);
	return 0;
}
