/* One thread in a raw read(2), with every register and setting at an odd value.
 *
 * Each byte that the test writes to stdin ends one read; then everything is compared with what it
 * was before: general registers, flags, the red zone, MXCSR, the x87 control word and stack, the
 * vector registers that the processor has (xmm, ymm, zmm, mask registers), the base of gs, the
 * signal mask, the alternate signal stack. One line of JSON for each round.
 *
 * With an argument it spoils one bit in each round before it compares: all of them must be found.
 */

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RBX, RDX, RSI, RDI, RBP, R8, R9, R10, R12, R13, R14, R15, GENERAL };
static const char *names[GENERAL] = {"rbx", "rdx", "rsi", "rdi", "rbp", "r8",
				     "r9", "r10", "r12", "r13", "r14", "r15"};

struct state {
	uint64_t general[GENERAL]; /*   0 */
	uint64_t result;	   /*  96 */
	uint64_t flags;		   /* 104 */
	uint32_t mxcsr;		   /* 112 */
	uint16_t x87, pad;	   /* 116 */
	uint8_t st0[16];	   /* 120 */
	uint64_t red[16];	   /* 136 */
	uint64_t rcx, r11;	   /* 264, 272: the kernel's, not compared */
	uint8_t spare[40];	   /* 280 */
	uint8_t vector[4][64];	   /* 320: 0, 1, 7, 15 */
	uint8_t high[64];	   /* 576: zmm31 */
	uint64_t mask;		   /* 640: k3 */
	uint64_t pad2[7];
};

/* 1: AVX, 2: AVX-512 as well; read by the code below. */
uint64_t vectors __attribute__((visibility("hidden")));
struct state before __attribute__((visibility("hidden"), aligned(64)));
struct state after __attribute__((visibility("hidden"), aligned(64)));
uint64_t kept_rsp __attribute__((visibility("hidden")));
void probe(void);

#define RED_IN(n) "mov before+136+8*" #n "(%rip), %rax\n mov %rax, -128+8*" #n "(%rsp)\n"
#define RED_OUT(n) "mov -128+8*" #n "(%rsp), %rax\n mov %rax, after+136+8*" #n "(%rip)\n"
#define ALL(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define PLAIN_IN(r, n) "movups before+320+64*" #n "(%rip), %xmm" #r "\n"
#define PLAIN_OUT(r, n) "movups %xmm" #r ", after+320+64*" #n "(%rip)\n"
#define AVX_IN(r, n) "vmovups before+320+64*" #n "(%rip), %ymm" #r "\n"
#define AVX_OUT(r, n) "vmovups %ymm" #r ", after+320+64*" #n "(%rip)\n"
#define WIDE_IN(r, n) "vmovups before+320+64*" #n "(%rip), %zmm" #r "\n"
#define WIDE_OUT(r, n) "vmovups %zmm" #r ", after+320+64*" #n "(%rip)\n"
#define FOUR(f) f(0, 0) f(1, 1) f(7, 2) f(15, 3)

asm(".text\n .globl probe\n .type probe, @function\n"
    "probe:\n"
    " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp, kept_rsp(%rip)\n"
    " ldmxcsr before+112(%rip)\n"
    " fninit\n fldcw before+116(%rip)\n fldt before+120(%rip)\n"
    " cmpq $1, vectors(%rip)\n ja 2f\n je 1f\n"
    FOUR(PLAIN_IN) " jmp 3f\n"
    "1:\n" FOUR(AVX_IN) " jmp 3f\n"
    "2:\n" FOUR(WIDE_IN) " vmovups before+576(%rip), %zmm31\n kmovq before+640(%rip), %k3\n"
    "3:\n"
    " pushq before+104(%rip)\n popfq\n"
    ALL(RED_IN)
    " mov before+0(%rip), %rbx\n mov before+8(%rip), %rdx\n mov before+16(%rip), %rsi\n"
    " mov before+24(%rip), %rdi\n mov before+32(%rip), %rbp\n mov before+40(%rip), %r8\n"
    " mov before+48(%rip), %r9\n mov before+56(%rip), %r10\n mov before+64(%rip), %r12\n"
    " mov before+72(%rip), %r13\n mov before+80(%rip), %r14\n mov before+88(%rip), %r15\n"
    " mov $0, %eax\n" /* read; a mov leaves the flags alone */
    " syscall\n"
    " mov %rax, after+96(%rip)\n mov %rcx, after+264(%rip)\n mov %r11, after+272(%rip)\n"
    " mov %rbx, after+0(%rip)\n mov %rdx, after+8(%rip)\n mov %rsi, after+16(%rip)\n"
    " mov %rdi, after+24(%rip)\n mov %rbp, after+32(%rip)\n mov %r8, after+40(%rip)\n"
    " mov %r9, after+48(%rip)\n mov %r10, after+56(%rip)\n mov %r12, after+64(%rip)\n"
    " mov %r13, after+72(%rip)\n mov %r14, after+80(%rip)\n mov %r15, after+88(%rip)\n"
    ALL(RED_OUT)
    " mov %rsp, %rax\n" /* before it is used again */
    " mov kept_rsp(%rip), %rsp\n"
    " sub kept_rsp(%rip), %rax\n" /* 0 if rsp is what it was; this changes flags, so r11 below */
    " mov %rax, after+280(%rip)\n"
    " mov after+272(%rip), %rax\n mov %rax, after+104(%rip)\n"
    " cmpq $1, vectors(%rip)\n ja 2f\n je 1f\n"
    FOUR(PLAIN_OUT) " jmp 3f\n"
    "1:\n" FOUR(AVX_OUT) " jmp 3f\n"
    "2:\n" FOUR(WIDE_OUT) " vmovups %zmm31, after+576(%rip)\n kmovq %k3, after+640(%rip)\n"
    "3:\n"
    " cmpq $0, vectors(%rip)\n je 4f\n vzeroupper\n 4:\n"
    " stmxcsr after+112(%rip)\n fnstcw after+116(%rip)\n fstpt after+120(%rip)\n fninit\n"
    " movl $0x1f80, -8(%rsp)\n ldmxcsr -8(%rsp)\n"
    " pushq $0x202\n popfq\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    " ret\n .size probe, .-probe\n");

static char stack[1 << 16];
static uint64_t rounds, differences;
static char which[1024];

static void compare(const char *name, const void *a, const void *b, size_t size)
{
	if (!memcmp(a, b, size))
		return;
	differences++;
	size_t used = strlen(which);
	snprintf(which + used, sizeof which - used, "%s ", name);
}

static void fill(uint64_t *words, size_t count, uint64_t seed)
{
	for (size_t n = 0; n < count; n++)
		words[n] = (seed = seed * 6364136223846793005u + 1442695040888963407u);
}

static void spoil(uint64_t round)
{
	static const uint16_t places[] = {0, 8, 40, 88, 104, 112, 116, 120, 129, 136, 263, 280,
					  320, 335, 384, 448, 512, 527};
	((uint8_t *)&after)[places[round % (sizeof places / sizeof *places)]] ^= 1;
}

int main(int argc, char **argv)
{
	(void)argv;
	char byte[8];
	sigset_t mask, seen;
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, found;
	uint64_t gs;
	__builtin_cpu_init();
	vectors = __builtin_cpu_supports("avx512bw") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGRTMIN + 3);
	if (sigaltstack(&alternate, 0) || sigprocmask(SIG_SETMASK, &mask, 0) ||
	    syscall(SYS_arch_prctl, ARCH_SET_GS, 0x12345678))
		return 2;
	for (;; rounds++) {
		memset(&after, 0, sizeof after);
		fill(before.general, GENERAL, rounds + 1);
		fill(before.red, 16, rounds + 2);
		fill((uint64_t *)before.vector, 33, rounds + 3); /* and zmm31, and k3 */
		before.general[RDI] = 0;
		before.general[RSI] = (uintptr_t)byte;
		before.general[RDX] = 1;
		before.flags = 0x202 | 0x8D5;	/* OF SF ZF AF PF CF, as no calculation leaves them */
		before.mxcsr = 0xFFE1;		/* to zero, flush, denormals are zero, two flags */
		before.x87 = 0x0E7F;		/* upwards, double */
		long double value = 3.14159265358979323846L * (rounds + 1);
		memcpy(before.st0, &value, 10);
		printf("{\"rounds\": %llu, \"differences\": %llu, \"which\": \"%s\", \"vectors\": %d}\n",
		       (unsigned long long)rounds, (unsigned long long)differences, which,
		       (int)vectors);
		fflush(stdout);
		probe();
		if (after.result == 0)
			return 0;
		if (argc > 1)
			spoil(rounds);
		uint64_t one = 1, zero = 0;
		compare("result", &after.result, &one, 8);
		compare("rsp", after.spare, &zero, 8);
		for (int n = 0; n < GENERAL; n++)
			compare(names[n], &before.general[n], &after.general[n], 8);
		compare("flags", &before.flags, &after.flags, 8);
		compare("mxcsr", &before.mxcsr, &after.mxcsr, 4);
		compare("x87", &before.x87, &after.x87, 2);
		compare("st0", before.st0, after.st0, 10);
		compare("red zone", before.red, after.red, sizeof before.red);
		for (int n = 0; n < 4; n++)
			compare("vector", before.vector[n], after.vector[n], 16 << vectors);
		if (vectors == 2) {
			compare("zmm31", before.high, after.high, 64);
			compare("k3", &before.mask, &after.mask, 8);
		}
		sigprocmask(SIG_SETMASK, 0, &seen);
		compare("signal mask", &mask, &seen, 8);
		sigaltstack(0, &found);
		compare("sigaltstack", &alternate.ss_sp, &found.ss_sp, sizeof found.ss_sp);
		compare("sigaltstack", &alternate.ss_size, &found.ss_size, sizeof found.ss_size);
		compare("sigaltstack", &alternate.ss_flags, &found.ss_flags, sizeof found.ss_flags);
		if (syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) || gs != 0x12345678)
			differences++;
	}
}
