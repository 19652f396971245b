/* Asks Linux for the tiles of AMX, which it gives to a process that asks and Windows to every one: Wine 8 does not ask. */
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XTILEDATA 18

__attribute__((constructor)) static void ask(void) { syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA); }
