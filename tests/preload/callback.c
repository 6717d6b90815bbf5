// Registers a listener and checks what it is told: each check that fails prints a line and makes the exit code 1.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// As in preload/src/abi.rs.
struct io_event {
    uint32_t size;
    uint16_t kind;
    uint8_t phase, access;
    int32_t fd, error;
    uint64_t generation;
    const char *resource;
    size_t resource_length;
    const char *other;
    size_t other_length;
    int64_t offset;
    uint64_t length;
    int64_t result;
    uint64_t device, inode;
    const char *function;
    uint64_t arguments[8];
    const char *path;
    size_t path_length;
    const char *other_path;
    size_t other_path_length;
};

static uint32_t (*shim_register)(uint32_t (*)(const struct io_event *));
static uint32_t (*shim_control)(uint32_t);
static int failures;

static struct { char function[16], resource[128]; int phase, fd; uint64_t generation; int64_t result; } log_[4096];
static volatile int logged;

#define CHECK(condition) do { if (!(condition)) { \
    failures++; \
    dprintf(2, "line %d: %s\n", __LINE__, #condition); } } while (0)

static int again; // How often the listener asks to be told again.
static int too_early; // Whether the listener has readers find nothing.
static uint16_t elsewhere; // The port that the listener sends connections to.
static char passed[128];

static uint32_t listener(const struct io_event *event) {
    int i = __atomic_fetch_add(&logged, 1, __ATOMIC_SEQ_CST);
    if (i >= 4096 || event->size != sizeof *event) abort();
    snprintf(log_[i].function, sizeof log_[i].function, "%s", event->function);
    snprintf(log_[i].resource, sizeof log_[i].resource, "%.*s", (int)event->resource_length, event->resource);
    log_[i].phase = event->phase;
    log_[i].fd = event->fd;
    log_[i].generation = event->generation;
    log_[i].result = event->result;
    // Its own I/O must not come back to it, and the errno it leaves must not be seen.
    char byte;
    int fd = open("/dev/null", O_RDONLY);
    if (read(fd, &byte, 1)) abort();
    close(fd);
    errno = EXDEV;
    snprintf(passed, sizeof passed, "%.*s", (int)event->path_length, event->path);
    if (event->phase == 0 && elsewhere && !strcmp(event->function, "connect")) return 1u << 30 | elsewhere;
    if (event->phase == 0 && too_early && !strcmp(event->function, "read")) return 3;
    return event->phase == 0 && again-- > 0;
}

static int is(int i, const char *function, int phase, const char *resource) {
    int same = i < logged && !strcmp(log_[i].function, function) && log_[i].phase == phase
        && !strcmp(log_[i].resource, resource);
    if (!same) dprintf(2, "event %d is %s %d %s\n", i, log_[i].function, log_[i].phase, log_[i].resource);
    return same;
}

static void *uncontrolled(void *unused) {
    char byte;
    int fd = open("/dev/zero", O_RDONLY);
    CHECK(read(fd, &byte, 1) == 1);
    CHECK(shim_control(1) == 0);
    CHECK(read(fd, &byte, 1) == 1);
    CHECK(shim_control(0) == 1);
    close(fd);
    return unused;
}

static int blocked[2];

static void *cancelled(void *unused) {
    char byte;
    shim_control(1);
    read(blocked[0], &byte, 1);
    return unused;
}

static void on_signal(int number) {
    int saved = errno;
    write(blocked[1], "s", 1);
    errno = saved;
    (void)number;
}

int main(void) {
    uint32_t (*abi)(void) = dlsym(RTLD_DEFAULT, "frontrun_io_abi");
    if (!abi) return 3;
    shim_register = dlsym(RTLD_DEFAULT, "frontrun_shim_register");
    shim_control = dlsym(RTLD_DEFAULT, "frontrun_shim_control");
    CHECK(abi() == 4);
    char byte;
    int early = open("/dev/zero", O_RDONLY); // Before anybody listened: named when it is first used.
    CHECK(shim_register(listener) == 4);
    CHECK(read(early, &byte, 1) == 1);
    CHECK(logged == 0); // This thread is not controlled.
    CHECK(shim_control(1) == 0);

    errno = EUCLEAN;
    CHECK(read(early, &byte, 1) == 1);
    CHECK(errno == EUCLEAN);
    CHECK(is(0, "read", 0, "file:/dev/zero"));
    CHECK(is(1, "read", 1, "file:/dev/zero"));
    CHECK(log_[1].result == 1 && logged == 2);

    // A call that comes too early is not made.
    logged = 0;
    too_early = 1;
    byte = 'x';
    CHECK(read(early, &byte, 1) == -1 && errno == EAGAIN && byte == 'x');
    CHECK(is(1, "read", 1, "file:/dev/zero") && log_[1].result == -1);
    too_early = 0;
    CHECK(read(early, &byte, 1) == 1);

    // A descriptor number that is used again is another opening.
    logged = 0;
    int fd = open("/./dev/../dev//zero", O_RDONLY);
    CHECK(is(0, "open", 0, "file:/dev/zero") && log_[0].fd == -1);
    CHECK(is(1, "open", 1, "file:/dev/zero") && log_[1].fd == fd);
    close(fd);
    CHECK(is(3, "close", 1, "file:/dev/zero") && log_[3].generation == log_[1].generation);
    CHECK(open("/dev/full", O_WRONLY) == fd);
    CHECK(log_[5].generation > log_[1].generation);
    errno = 0;
    CHECK(write(fd, "x", 1) == -1 && errno == ENOSPC);
    CHECK(is(7, "write", 1, "file:/dev/full") && log_[7].result == -1);
    close(fd);

    // Who waited asks again, and is told what the path means now.
    logged = 0;
    unlink("/tmp/frontrun-callback");
    symlink("/dev/zero", "/tmp/frontrun-callback");
    logged = 0;
    again = 2;
    fd = open("/tmp/frontrun-callback", O_RDONLY);
    CHECK(logged == 4 && is(2, "open", 0, "file:/dev/zero") && is(3, "open", 1, "file:/dev/zero"));
    CHECK(!strcmp(passed, "/tmp/frontrun-callback"));
    close(fd);
    unlink("/tmp/frontrun-callback");

    // Other threads are told of only while they are controlled.
    logged = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, uncontrolled, NULL);
    pthread_join(thread, NULL);
    CHECK(logged == 2 && is(1, "read", 1, "file:/dev/zero"));

    // Both ends of a pair are one resource.
    logged = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, blocked) == 0);
    send(blocked[0], "x", 1, 0);
    recv(blocked[1], &byte, 1, 0);
    CHECK(log_[3].generation == log_[5].generation && log_[3].generation);

    // A thread can be cancelled in a hooked call.
    logged = 0;
    pthread_create(&thread, NULL, cancelled, NULL);
    while (!logged) usleep(1000);
    void *result;
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    CHECK(logged == 1);

    // A signal handler that interrupts a blocked call does I/O of its own, and the call goes on.
    logged = 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 0);
    CHECK(read(blocked[0], &byte, 1) == 1 && byte == 's');
    CHECK(logged == 4 && is(1, "write", 0, "socketpair") && is(3, "read", 1, "socketpair"));

    // A fork child goes on as its parent; what it does is in its own memory.
    logged = 0;
    pid_t pid = fork();
    if (pid == 0) {
        logged = 0;
        close(early);
        _exit(logged == 2 && is(1, "close", 1, "file:/dev/zero") ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(logged == 0);
    CHECK(read(early, &byte, 1) == 1 && is(1, "read", 1, "file:/dev/zero"));

    // A vfork child is not tracked: its close is not the parent's.
    logged = 0;
    pid = vfork();
    if (pid == 0) {
        close(early);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(logged == 0);
    CHECK(read(early, &byte, 1) == 1 && is(1, "read", 1, "file:/dev/zero"));

    // A connection may be led elsewhere, and has the name that was asked for.
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer;
    socklen_t length = sizeof here;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!bind(server, (void *)&here, length) && !listen(server, 1));
    CHECK(!getsockname(server, (void *)&here, &length));
    struct sockaddr_in away = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
    logged = 0;
    elsewhere = ntohs(here.sin_port);
    CHECK(connect(client, (void *)&away, sizeof away) == 0);
    CHECK(is(1, "connect", 1, "socket:192.0.2.1:9"));
    CHECK(away.sin_port == htons(9));
    CHECK(!getpeername(client, (void *)&peer, &length) && peer.sin_port == here.sin_port);
    struct sockaddr_un local = {.sun_family = AF_UNIX}, gone = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
    elsewhere = 60001;
    int end = snprintf(local.sun_path + 1, sizeof local.sun_path - 1, "frontrun-%d", elsewhere) + 1;
    int local_server = socket(AF_UNIX, SOCK_STREAM, 0), local_client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(!bind(local_server, (void *)&local, offsetof(struct sockaddr_un, sun_path) + end));
    CHECK(!listen(local_server, 1));
    CHECK(connect(local_client, (void *)&gone, sizeof gone) == 0);
    elsewhere = 0;

    // Nobody listens any more.
    logged = 0;
    shim_register(NULL);
    CHECK(read(early, &byte, 1) == 1 && logged == 0);
    return failures != 0;
}
