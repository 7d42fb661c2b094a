/* Allocates and frees all the time, and is interrupted by a timer whose handler sleeps.
 *
 * So it is nearly always found asleep in a handler that has interrupted malloc, which may hold its
 * lock: this thread must not be made to allocate. A second thread, which blocks all signals, makes
 * malloc take its locks for real. Writes a line of JSON each second while it goes on.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static void sleep_a_little(int number)
{
	struct timespec left = {0, 20000000};
	(void)number;
	while (nanosleep(&left, &left))
		;
}

static void *idle(void *every)
{
	for (;;)
		sigsuspend(every);
	return 0;
}

int main(void)
{
	static void *kept[512];
	unsigned long rounds = 0;
	unsigned random = 1;
	time_t said = 0;
	pthread_t thread;
	sigset_t every;
	sigfillset(&every);
	pthread_sigmask(SIG_BLOCK, &every, 0);
	pthread_create(&thread, 0, idle, &every);
	pthread_sigmask(SIG_UNBLOCK, &every, 0);
	struct sigaction action = {.sa_handler = sleep_a_little};
	sigaction(SIGALRM, &action, 0);
	struct itimerval often = {{0, 23000}, {0, 23000}};
	setitimer(ITIMER_REAL, &often, 0);
	for (;; rounds++) {
		random = random * 1103515245 + 12345;
		unsigned which = random >> 16 & 511;
		free(kept[which]);
		kept[which] = malloc(1040 + (random >> 8 & 4095));
		if (!(rounds & 4095) && time(0) != said) {
			said = time(0);
			printf("{\"rounds\": %lu}\n", rounds);
			fflush(stdout);
		}
	}
}
