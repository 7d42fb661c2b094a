/* A parent with a child of vfork, which still has its memory; on a byte the child runs `true`.
 *
 * Much is freed before, so that a trim takes its time. Says the child's PID, then that the parent
 * runs again and can allocate.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 60000, BLOCK = 9000 };

static char *blocks[BLOCKS];

int main(void)
{
	char byte;
	for (int n = 0; n < BLOCKS; n++)
		memset(blocks[n] = malloc(BLOCK), 1, BLOCK);
	for (int n = 0; n < BLOCKS; n += 2)
		free(blocks[n]);
	if (!vfork()) {
		printf("{\"child\": %d}\n", (int)getpid());
		fflush(stdout);
		if (read(0, &byte, 1) >= 0)
			execl("/bin/true", "true", (char *)0);
		_exit(1);
	}
	volatile char *more = malloc(BLOCK * 10);
	printf("{\"allocates\": %s}\n", more ? "true" : "false");
	fflush(stdout);
	return read(0, &byte, 1) < 0;
}
