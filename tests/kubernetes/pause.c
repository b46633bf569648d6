/* What holds a pod together. It goes by itself in the end, should whoever started it have been killed. */
#include <signal.h>
#include <unistd.h>

static void leave(int number) { (void)number; _exit(0); }

int main(void) {
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    signal(SIGALRM, leave);
    alarm(4 * 3600);
    for (;;) pause();
}
