// Calls every function that the shim hooks, in the directory given as first argument.
//
// Standard output gets one line a call: name, result (descriptors and counts only), errno. It must be the same with
// and without the shim. After that, one line "= name count" a function, which the events are compared with.
// Everything happens between two calls access("/begin") and access("/end"), by which a system call log is cut. What libc
// does for streams, whose buffers are filled and emptied at its own discretion, comes after access("/streams").
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
char *__fgets_chk(char *, size_t, int, FILE *);

static struct { const char *name; int count; } counts[256];
static char report[1 << 17];
static int used;

static void count(const char *name) {
    int i = 0;
    while (counts[i].name && strcmp(counts[i].name, name)) i++;
    counts[i].name = name;
    counts[i].count++;
}

// One call: counted, and its result and errno noted. errno is set before, and a call that succeeds leaves it.
#define CALL(name, ...) ({ \
    count(#name); \
    errno = EUCLEAN; \
    __typeof__(name(__VA_ARGS__)) result_ = name(__VA_ARGS__); \
    int error_ = errno; \
    used += snprintf(report + used, sizeof report - used, "%s %ld %d\n", #name, (long)result_, error_); \
    result_; })
// The same for a result that differs from run to run.
#define CALL_POINTER(name, ...) ({ \
    count(#name); \
    errno = EUCLEAN; \
    __typeof__(name(__VA_ARGS__)) result_ = name(__VA_ARGS__); \
    int error_ = errno; \
    used += snprintf(report + used, sizeof report - used, "%s %d %d\n", #name, result_ != NULL, error_); \
    result_; })

static char buffer[4096];
static struct iovec parts[2] = {{buffer, 3}, {buffer + 8, 5}};

static void files(void) {
    int fd = CALL(open, "data", O_RDWR | O_CREAT, 0644);
    CALL(write, fd, "0123456789", 10);
    CALL(pwrite, fd, "ab", 2, 4);
    CALL(pwrite64, fd, "cd", 2, 6);
    CALL(writev, fd, parts, 2);
    CALL(pwritev, fd, parts, 2, 1);
    CALL(pwritev64, fd, parts, 2, 1);
    CALL(pwritev2, fd, parts, 2, 1, 0);
    CALL(pwritev64v2, fd, parts, 2, -1, 0);
    CALL(lseek, fd, 0, SEEK_SET);
    CALL(lseek64, fd, 1, SEEK_SET);
    CALL(read, fd, buffer, 4);
    CALL(__read_chk, fd, buffer, 4, sizeof buffer);
    CALL(pread, fd, buffer, 4, 2);
    CALL(pread64, fd, buffer, 4, 2);
    CALL(__pread_chk, fd, buffer, 4, 2, sizeof buffer);
    CALL(__pread64_chk, fd, buffer, 4, 2, sizeof buffer);
    CALL(readv, fd, parts, 2);
    CALL(preadv, fd, parts, 2, 0);
    CALL(preadv64, fd, parts, 2, 0);
    CALL(preadv2, fd, parts, 2, 0, 0);
    CALL(preadv64v2, fd, parts, 2, 0, 0);
    CALL(ftruncate, fd, 100);
    CALL(ftruncate64, fd, 90);
    CALL(truncate, "data", 80);
    CALL(truncate64, "data", 70);
    CALL(posix_fallocate, fd, 0, 128);
    CALL(posix_fallocate64, fd, 0, 128);
    CALL(fallocate, fd, 0, 0, 128);
    CALL(fallocate64, fd, 0, 0, 128);
    CALL(fsync, fd);
    CALL(fdatasync, fd);
    CALL(syncfs, fd);
    CALL(sync_file_range, fd, 0, 1, 0);
    CALL(flock, fd, LOCK_EX);
    CALL(flock, fd, LOCK_UN);
    CALL(lockf, fd, F_LOCK, 0);
    CALL(lockf64, fd, F_ULOCK, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CALL(fcntl, fd, F_SETLK, &lock);
    CALL(fcntl64, fd, F_GETLK, &lock);
    void *memory = CALL_POINTER(mmap, NULL, 64, PROT_READ, MAP_SHARED, fd, 0);
    munmap(memory, 64);
    memory = CALL_POINTER(mmap64, NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CALL(msync, memory, 64, MS_SYNC);
    munmap(memory, 64);

    int copy = CALL(dup, fd);
    CALL(dup2, fd, copy);
    CALL(dup3, fd, copy, O_CLOEXEC);
    int third = CALL(fcntl, fd, F_DUPFD, 100);
    CALL(read, third, buffer, 1);
    CALL(close, third);
    CALL(close, copy);
    CALL(close, copy);
    int to = CALL(creat, "copy", 0600);
    CALL(lseek, fd, 0, SEEK_SET);
    CALL(sendfile, to, fd, NULL, 5);
    CALL(sendfile64, to, fd, NULL, 5);
    CALL(copy_file_range, fd, NULL, to, NULL, 5, 0);
    CALL(close, to);
    CALL(close, CALL(creat64, "copy", 0600));
    CALL(close, fd);

    CALL(close, CALL(open64, "data", O_RDONLY));
    CALL(close, CALL(openat, AT_FDCWD, "data", O_RDONLY));
    int here = CALL(openat64, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
    CALL(close, CALL(openat, here, "data", O_RDONLY));
    CALL(close, here);
    CALL(close, CALL(__open_2, "data", O_RDONLY));
    CALL(close, CALL(__open64_2, "data", O_RDONLY));
    CALL(close, CALL(__openat_2, AT_FDCWD, "data", O_RDONLY));
    CALL(close, CALL(__openat64_2, AT_FDCWD, "data", O_RDONLY));
    CALL(open, "missing", O_RDONLY);
    char template[] = "madeXXXXXX";
    CALL(close, CALL(mkstemp, template));
    unlink(template), count("unlink");
    memcpy(template + 4, "XXXXXX", 6);
    CALL(close, CALL(mkostemp, template, O_CLOEXEC));
    unlink(template), count("unlink");
    char with_suffix[] = "madeXXXXXX.c";
    CALL(close, CALL(mkstemps, with_suffix, 2));
    unlink(with_suffix), count("unlink");
    memcpy(with_suffix + 4, "XXXXXX", 6);
    CALL(close, CALL(mkostemps, with_suffix, 2, O_CLOEXEC));
    unlink(with_suffix), count("unlink");
    fd = CALL(open, "data", O_RDONLY);
    CALL(dup2, fd, 60);
    CALL(close_range, 60, 60, 0);
    CALL(read, 60, buffer, 1);
    CALL(close, fd);
}

static void paths(void) {
    CALL(link, "data", "linked");
    CALL(linkat, AT_FDCWD, "data", AT_FDCWD, "linked2", 0);
    CALL(symlink, "data", "soft");
    CALL(symlinkat, "data", AT_FDCWD, "soft2");
    CALL(rename, "linked", "renamed");
    CALL(renameat, AT_FDCWD, "renamed", AT_FDCWD, "linked");
    CALL(renameat2, AT_FDCWD, "linked", AT_FDCWD, "renamed", 0);
    CALL(unlink, "renamed");
    CALL(unlink, "renamed");
    CALL(unlinkat, AT_FDCWD, "linked2", 0);
    CALL(remove, "soft2");
    CALL(mkdir, "folder", 0755);
    CALL(mkdirat, AT_FDCWD, "folder/inner", 0755);
    CALL(unlinkat, AT_FDCWD, "folder/inner", AT_REMOVEDIR);
    CALL(rmdir, "folder");
    CALL(mkfifo, "fifo", 0600);
    CALL(mkfifoat, AT_FDCWD, "fifo2", 0600);
    CALL(mknod, "fifo3", S_IFIFO | 0600, 0);
    CALL(mknodat, AT_FDCWD, "fifo4", S_IFIFO | 0600, 0);
    CALL(chmod, "data", 0600);
    CALL(fchmodat, AT_FDCWD, "data", 0640, 0);
    CALL(chown, "data", -1, -1);
    CALL(lchown, "soft", -1, -1);
    CALL(fchownat, AT_FDCWD, "data", -1, -1, 0);
    CALL(utimensat, AT_FDCWD, "data", NULL, 0);
    CALL(utime, "data", NULL);
    CALL(utimes, "data", NULL);
    CALL(lutimes, "soft", NULL);
    int fd = CALL(open, "data", O_RDONLY);
    CALL(fchmod, fd, 0600);
    CALL(fchown, fd, -1, -1);
    CALL(futimens, fd, NULL);
    CALL(futimes, fd, NULL);
    CALL(fgetxattr, fd, "user.x", buffer, sizeof buffer);
    CALL(fsetxattr, -1, "user.x", "1", 1, 0);
    CALL(flistxattr, fd, buffer, sizeof buffer);
    CALL(fremovexattr, fd, "user.x");
    static struct stat status;
    static struct stat64 status64;
    static struct statx statusx;
    CALL(stat, "soft", &status);
    CALL(stat64, "soft", &status64);
    CALL(lstat, "soft", &status);
    CALL(lstat64, "soft", &status64);
    CALL(fstat, fd, &status);
    CALL(fstat64, fd, &status64);
    CALL(fstatat, AT_FDCWD, "soft", &status, AT_SYMLINK_NOFOLLOW);
    CALL(fstatat64, AT_FDCWD, "missing", &status64, 0);
    CALL(statx, AT_FDCWD, "data", 0, STATX_BASIC_STATS, &statusx);
    int (*__xstat)(int, const char *, void *) = dlsym(RTLD_DEFAULT, "__xstat");
    int (*__lxstat64)(int, const char *, void *) = dlsym(RTLD_DEFAULT, "__lxstat64");
    int (*__fxstat)(int, int, void *) = dlsym(RTLD_DEFAULT, "__fxstat");
    if (__xstat && __lxstat64 && __fxstat) {
        CALL(__xstat, 1, "soft", &status);
        CALL(__lxstat64, 1, "soft", &status64);
        CALL(__fxstat, 1, fd, &status);
    }
    CALL(close, fd);
    CALL(access, "data", R_OK);
    CALL(eaccess, "missing", R_OK);
    CALL(euidaccess, "missing", R_OK);
    CALL(faccessat, AT_FDCWD, "missing", R_OK, 0);
    CALL(readlink, "soft", buffer, sizeof buffer);
    CALL(readlinkat, AT_FDCWD, "soft", buffer, sizeof buffer);
    CALL(getxattr, "data", "user.x", buffer, sizeof buffer);
    CALL(lgetxattr, "soft", "user.x", buffer, sizeof buffer);
    CALL(listxattr, "data", buffer, sizeof buffer);
    CALL(llistxattr, "soft", buffer, sizeof buffer);
    CALL(setxattr, "missing", "user.x", "1", 1, 0);
    CALL(lsetxattr, "missing", "user.x", "1", 1, 0);
    CALL(removexattr, "missing", "user.x");
    CALL(lremovexattr, "missing", "user.x");
    DIR *directory = CALL_POINTER(opendir, ".");
    while (CALL_POINTER(readdir, directory)) {}
    CALL(closedir, directory);
    directory = CALL_POINTER(opendir, ".");
    while (CALL_POINTER(readdir64, directory)) {}
    CALL(closedir, directory);
}

static void sockets(void) {
    int ends[2];
    CALL(pipe, ends);
    CALL(write, ends[1], "hello", 5);
    CALL(read, ends[0], buffer, 5);
    CALL(close, ends[0]);
    CALL(close, ends[1]);
    CALL(pipe2, ends, O_CLOEXEC);
    int file = CALL(open, "data", O_RDONLY);
    CALL(splice, file, NULL, ends[1], NULL, 4, 0);
    CALL(close, file);
    CALL(close, ends[0]);
    CALL(close, ends[1]);

    CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, ends);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct mmsghdr messages = {.msg_hdr = message};
    CALL(send, ends[0], "0123456789", 10, 0);
    CALL(sendto, ends[0], "0123456789", 10, 0, NULL, 0);
    CALL(sendmsg, ends[0], &message, 0);
    CALL(sendmmsg, ends[0], &messages, 1, 0);
    CALL(recv, ends[1], buffer, 2, 0);
    CALL(__recv_chk, ends[1], buffer, 2, sizeof buffer, 0);
    CALL(recvfrom, ends[1], buffer, 2, 0, NULL, NULL);
    CALL(__recvfrom_chk, ends[1], buffer, 2, sizeof buffer, 0, NULL, NULL);
    CALL(recvmsg, ends[1], &message, 0);
    CALL(recvmmsg, ends[1], &messages, 1, MSG_DONTWAIT, NULL);
    struct pollfd set = {.fd = ends[1], .events = POLLIN};
    struct timespec now = {0, 0};
    struct timeval zero = {0, 0};
    CALL(poll, &set, 1, 0);
    CALL(ppoll, &set, 1, &now, NULL);
    CALL(__poll_chk, &set, 1, 0, sizeof set);
    fd_set readers;
    FD_ZERO(&readers);
    FD_SET(ends[1], &readers);
    CALL(select, ends[1] + 1, &readers, NULL, NULL, &zero);
    CALL(pselect, ends[1] + 1, &readers, NULL, NULL, &now, NULL);
    int counter = eventfd(0, 0);
    eventfd_t value;
    CALL(eventfd_write, counter, 3);
    CALL(eventfd_read, counter, &value);
    CALL(close, counter);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    CALL(epoll_ctl, epoll, EPOLL_CTL_ADD, ends[1], &event);
    CALL(epoll_wait, epoll, &event, 1, 0);
    CALL(epoll_pwait, epoll, &event, 1, 0, NULL);
    CALL(close, epoll);
    CALL(shutdown, ends[0], SHUT_WR);
    CALL(close, ends[0]);
    CALL(close, ends[1]);

    int server = CALL(socket, AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CALL(bind, server, (struct sockaddr *)&address, sizeof address);
    CALL(listen, server, 4);
    socklen_t length = sizeof address;
    getsockname(server, (struct sockaddr *)&address, &length);
    for (int i = 0; i < 2; i++) {
        int client = CALL(socket, AF_INET, SOCK_STREAM, 0);
        CALL(connect, client, (struct sockaddr *)&address, sizeof address);
        int peer = i ? CALL(accept4, server, NULL, NULL, SOCK_CLOEXEC) : CALL(accept, server, NULL, NULL);
        CALL(send, client, "ping", 4, 0);
        CALL(recv, peer, buffer, 4, 0);
        CALL(close, client);
        CALL(close, peer);
    }
    CALL(close, server);
}

int __vfprintf_chk(FILE *, int, const char *, va_list);

static void print(FILE *stream, const char *format, ...) {
    va_list list;
    va_start(list, format);
    CALL(vfprintf, stream, format, list);
    va_end(list);
    va_start(list, format);
    CALL(__vfprintf_chk, stream, 1, format, list);
    va_end(list);
}

static void streams(void) {
    FILE *stream = CALL_POINTER(fopen, "stream", "w");
    CALL(fwrite, "line one\n", 1, 9, stream);
    CALL(fputs, "line two\n", stream);
    CALL(fputc, 'x', stream);
    CALL(putc, '\n', stream);
    print(stream, "%d %s\n", 3, "three");
    CALL(fflush, stream);
    CALL(fclose, stream);
    stream = CALL_POINTER(fopen64, "stream", "r");
    CALL(fread, buffer, 1, 3, stream);
    CALL(__fread_chk, buffer, sizeof buffer, 1, 3, stream);
    CALL_POINTER(fgets, buffer, 100, stream);
    CALL_POINTER(__fgets_chk, buffer, sizeof buffer, 100, stream);
    CALL_POINTER(fgets, buffer, 100, stream);
    char *line = NULL;
    size_t size = 0;
    CALL(__getdelim, &line, &size, '\n', stream);
    CALL(getdelim, &line, &size, '\n', stream);
    CALL(fseek, stream, 2, SEEK_SET);
    CALL(fseeko, stream, 1, SEEK_SET);
    CALL(fseeko64, stream, 0, SEEK_SET);
    CALL(fgetc, stream);
    CALL(getc, stream);
    CALL(fclose, stream);
    CALL_POINTER(fopen, "missing", "r");
    CALL(fclose, CALL_POINTER(tmpfile));
    CALL(fclose, CALL_POINTER(tmpfile64));
}

int main(int argc, char **argv) {
    if (argc < 2 || chdir(argv[1])) return 2;
    access("/begin", F_OK);
    files();
    paths();
    sockets();
    access("/streams", F_OK);
    streams();
    access("/end", F_OK);
    count("access"), count("access"), count("access"), count("fputs");
    fputs(report, stdout);
    for (int i = 0; counts[i].name; i++) printf("= %s %d\n", counts[i].name, counts[i].count);
    return 0;
}
