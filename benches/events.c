// What benches/events measures `portscope events` with: ports that come and go, and a server that accepts connections.
//
//   storm RATE SECONDS   opens and closes ports so that RATE events a second happen; prints how many were opened
//   serve COUNT          accepts and closes so many connections; prints the CPU time of one, and connections a second
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(int who) {
    struct rusage u;
    getrusage(who, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int opened(int type, struct sockaddr_in *at) {
    socklen_t length = sizeof *at;
    int s = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    memset(at, 0, length);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s < 0 || bind(s, (struct sockaddr *)at, length) || (type == SOCK_STREAM && listen(s, 4096))) {
        perror("open");
        exit(1);
    }
    getsockname(s, (struct sockaddr *)at, &length);
    return s;
}

static int storm(double rate, double seconds) {
    long done = 0, all = rate / 2 * seconds;
    double begin = now();
    struct sockaddr_in at;
    while (done < all && now() - begin < 3 * seconds) {
        // An opening and a closing are two events. One port in ten is of UDP.
        for (long due = (now() - begin) * rate / 2; done < due && done < all; done++)
            close(opened(done % 10 ? SOCK_STREAM : SOCK_DGRAM, &at));
        usleep(200);
    }
    printf("%ld %.2f\n", done, now() - begin);
    return 0;
}

static int serve(long count) {
    struct sockaddr_in at;
    int listener = opened(SOCK_STREAM, &at);
    double begin = now();
    pid_t client = fork();
    if (client == 0) {
        // A reset leaves nothing in TIME_WAIT, which would use up the ephemeral range.
        struct linger reset = {1, 0};
        for (long i = 0; i < count; i++) {
            int s = socket(AF_INET, SOCK_STREAM, 0);
            if (connect(s, (struct sockaddr *)&at, sizeof at)) {
                perror("connect");
                _exit(1);
            }
            setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(s);
        }
        _exit(0);
    }
    for (long i = 0; i < count; i++)
        close(accept(listener, NULL, NULL));
    int status;
    waitpid(client, &status, 0);
    double both = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
    printf("%.3f %.3f %.0f\n", cpu(RUSAGE_SELF) / count * 1e6, both / count * 1e6, count / (now() - begin));
    return status != 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "storm"))
        return storm(atof(argv[2]), atof(argv[3]));
    if (argc == 3 && !strcmp(argv[1], "serve"))
        return serve(atol(argv[2]));
    return 2;
}
